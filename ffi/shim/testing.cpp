// What only tests call: failures on demand, and parts of a step on their own.
#include <new>
#include <stdexcept>

#include "context.h"
#include "guard.h"
#include "sampler.h"
#include "text.h"

#ifdef HEADRACE_COMMON
#include "log.h"
#endif

extern "C" {

int hr_test_abort(hr_report *report) {
    return hr::guarded(report, [&]() -> int { GGML_ABORT("asked to abort"); });
}

int hr_test_throw(int kind, hr_report *report) {
    return hr::guarded(report, [&]() -> int {
        switch (kind) {
            case 0: throw std::runtime_error("asked to throw");
            case 1: throw std::bad_alloc();
            default: throw kind;
        }
    });
}

void hr_test_common_log(const char *text) {
#ifdef HEADRACE_COMMON
    common_log_default_callback(GGML_LOG_LEVEL_WARN, text, nullptr);
#else
    (void)text;
#endif
}

void hr_test_interrupt_after(hr_context *handle, int64_t nodes) {
    const auto core = hr::context_core(handle);
    if (core != nullptr) {
        core->test_nodes = nodes;
    }
}

int hr_test_poison(hr_context *handle, hr_report *report) {
    return hr::exclusively(handle, report, [](hr::ContextCore &) -> int {
        GGML_ABORT("asked to abort in a context");
    });
}

int hr_test_tokenize(hr_model *handle, const char *text, int64_t n_bytes, bool add_special,
                     bool parse_special, int32_t *ids, int32_t capacity, int32_t *count,
                     hr_report *report) {
    return hr::tokenize_at_once(handle, text, n_bytes, add_special, parse_special, ids, capacity,
                                count, report);
}

int hr_test_sample(hr_sampler *sampler, float *logits, int32_t n_vocab, const uint32_t *allowed,
                   int32_t *token, hr_report *report) {
    return hr::guarded(report, [&]() -> int {
        return hr::sample(*sampler, logits, n_vocab, hr::Mask(allowed), token);
    });
}

}  // extern "C"
