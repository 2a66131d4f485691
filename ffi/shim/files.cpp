// GGUF files as files: reading what they say, and writing the headers of split and merged ones.
//
// The data of the tensors is copied by Python, which shows progress and can be stopped.
#include <memory>
#include <vector>

#include "ggml.h"
#include "gguf.h"
#include "guard.h"

namespace {

struct GgufFree {
    void operator()(gguf_context *context) const { gguf_free(context); }
};
struct GgmlFree {
    void operator()(ggml_context *context) const { ggml_free(context); }
};

constexpr const char *kSplitNumber = "split.no";
constexpr const char *kSplitCount = "split.count";
constexpr const char *kSplitTensors = "split.tensors.count";

using Gguf = std::unique_ptr<gguf_context, GgufFree>;

}  // namespace

struct hr_gguf {
    Gguf context;
    std::unique_ptr<ggml_context, GgmlFree> tensors;  // shapes and types, no data
};

namespace {

bool holds(const hr_gguf_part &part) {
    const int64_t n_tensors = gguf_get_n_tensors(part.file->context.get());
    return part.first >= 0 && part.count >= 0 && part.first <= n_tensors - part.count;
}

void add_tensors(gguf_context *target, const hr_gguf_part &part) {
    for (int64_t i = part.first; i < part.first + part.count; ++i) {
        const char *name = gguf_get_tensor_name(part.file->context.get(), i);
        gguf_add_tensor(target, ggml_get_tensor(part.file->tensors.get(), name));
    }
}

void set_split(gguf_context *target, const hr_gguf_split &split) {
    for (const char *key : {kSplitNumber, kSplitCount, kSplitTensors}) {
        gguf_remove_key(target, key);
    }
    if (split.count > 0) {
        gguf_set_val_u16(target, kSplitNumber, static_cast<uint16_t>(split.number));
        gguf_set_val_u16(target, kSplitCount, static_cast<uint16_t>(split.count));
        gguf_set_val_i32(target, kSplitTensors, split.n_tensors);
    }
}

}  // namespace

extern "C" {

int hr_gguf_open(const char *path, hr_gguf **out, hr_report *report) {
    return hr::guarded(report, [&]() -> int {
        *out = nullptr;
        auto file = std::make_unique<hr_gguf>();
        ggml_context *tensors = nullptr;
        file->context.reset(gguf_init_from_file(path, {/* no_alloc */ true, &tensors}));
        file->tensors.reset(tensors);
        if (file->context == nullptr) {
            return HR_FILE_REFUSED;
        }
        *out = file.release();
        return HR_OK;
    });
}

void hr_gguf_close(hr_gguf *file) {
    hr::guarded(nullptr, [&]() -> int {
        delete file;
        return HR_OK;
    });
}

const struct gguf_context *hr_gguf_pointer(const hr_gguf *file) {
    return file == nullptr ? nullptr : file->context.get();
}

int hr_gguf_write_header(const char *path, const hr_gguf_part *parts, int32_t n_parts,
                         bool with_metadata, const hr_gguf_split *split, hr_report *report) {
    return hr::guarded(report, [&]() -> int {
        const Gguf target(gguf_init_empty());
        if (with_metadata && n_parts > 0) {
            gguf_set_kv(target.get(), parts[0].file->context.get());
            // Offsets are computed for the default, whatever the source had.
            gguf_remove_key(target.get(), GGUF_KEY_GENERAL_ALIGNMENT);
        }
        set_split(target.get(), *split);
        for (int32_t i = 0; i < n_parts; ++i) {
            if (!holds(parts[i])) {
                return HR_BAD_ARGUMENT;
            }
            add_tensors(target.get(), parts[i]);
        }
        return gguf_write_to_file(target.get(), path, /* only_meta */ true) ? HR_OK
                                                                           : HR_FILE_NOT_WRITTEN;
    });
}

}  // extern "C"
