// What a model and a context of it need in memory, before they are loaded and after.
//
// llama.cpp can go through loading and through the reservation of a context's
// graphs without allocating (no_alloc); what it would have allocated, and what an
// open context has, is told by a C++ function of libllama that only its own
// libllama-common declares. It is declared again here, weakly: a llama.cpp that
// has no such function gives no estimate, and loads all the same.
#include <algorithm>
#include <cstdio>
#include <map>

#include "context.h"

#if defined(HEADRACE_COMMON) && defined(__GNUC__)
#define HEADRACE_BREAKDOWN 1

// As in llama.cpp's src/llama-ext.h.
struct llama_memory_breakdown_data {
    size_t model;
    size_t context;
    size_t compute;
};
std::map<ggml_backend_buffer_type_t, llama_memory_breakdown_data> llama_get_memory_breakdown(
    const struct llama_context *context) __attribute__((weak));
#endif

namespace hr {

namespace {

#ifdef HEADRACE_BREAKDOWN

int32_t index_of(ggml_backend_dev_t device) {
    for (size_t i = 0; device != nullptr && i < ggml_backend_dev_count(); ++i) {
        if (ggml_backend_dev_get(i) == device) {
            return static_cast<int32_t>(i);
        }
    }
    return -1;
}

int tell(const llama_context *context, hr_buffers *buffers, int32_t capacity, int32_t *count) {
    if (llama_get_memory_breakdown == nullptr) {
        return HR_NO_ESTIMATE;
    }
    *count = 0;
    for (const auto &[type, bytes] : llama_get_memory_breakdown(context)) {
        if (*count == capacity) {
            return HR_BUFFER_TOO_SMALL;
        }
        hr_buffers &told = buffers[(*count)++];
        std::snprintf(told.name, sizeof told.name, "%s", ggml_backend_buft_name(type));
        told.device = index_of(ggml_backend_buft_get_device(type));
        told.host = ggml_backend_buft_is_host(type);
        told.weights = bytes.model;
        told.cache = bytes.context;
        told.compute = bytes.compute;
    }
    return HR_OK;
}

#else

int tell(const llama_context *, hr_buffers *, int32_t, int32_t *) { return HR_NO_ESTIMATE; }

#endif

}  // namespace

}  // namespace hr

extern "C" {

int hr_estimate(const char *path, const struct llama_model_params *model_params,
                const struct llama_context_params *context_params, uint32_t default_n_ctx,
                uint32_t *n_ctx, hr_buffers *buffers, int32_t capacity, int32_t *count,
                hr_report *report) {
    return hr::guarded(report, [&]() -> int {
        llama_model_params settings = *model_params;
        settings.no_alloc = true;
        settings.load_mode = LLAMA_LOAD_MODE_NONE;  // nothing can be mapped without memory
        settings.progress_callback = [](float, void *) { return !hr::abandoned(); };
        // Freed here and not by destructors: what an abort has touched is leaked.
        llama_model *model = llama_model_load_from_file(path, settings);
        if (model == nullptr) {
            return HR_LOAD_FAILED;
        }
        llama_context_params wanted = *context_params;
        if (wanted.n_ctx == 0) {
            const auto trained = static_cast<uint32_t>(std::max(0, llama_model_n_ctx_train(model)));
            wanted.n_ctx = trained == 0 ? default_n_ctx : std::min(trained, default_n_ctx);
        }
        *n_ctx = wanted.n_ctx;
        wanted.n_outputs_max = hr::affordable_outputs(model, wanted);
        llama_context *context = llama_init_from_model(model, wanted);
        int status = HR_CONTEXT_FAILED;
        if (context != nullptr) {
            status = hr::tell(context, buffers, capacity, count);
            llama_free(context);
        }
        llama_model_free(model);
        return status;
    });
}

int hr_context_memory(hr_context *handle, hr_buffers *buffers, int32_t capacity, int32_t *count,
                      hr_report *report) {
    return hr::exclusively(handle, report, [&](hr::ContextCore &core) -> int {
        return hr::tell(core.context, buffers, capacity, count);
    });
}

}  // extern "C"
