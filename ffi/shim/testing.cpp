// What only tests call: failures on demand, and parts of a step on their own.
#include <new>
#include <stdexcept>

#include "context.h"
#include "guard.h"
#include "sampler.h"
#include "text.h"
#include "threads.h"

#ifdef HEADRACE_COMMON
#include "log.h"
#endif

struct hr_test_choice {
    hr::ThreadChoice choice;
};

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

hr_test_choice *hr_test_choice_new(int32_t most) {
    return new (std::nothrow) hr_test_choice{hr::ThreadChoice(most)};
}

void hr_test_choice_delete(hr_test_choice *choice) { delete choice; }

int32_t hr_test_choose(hr_test_choice *choice, int32_t n_tokens, double now) {
    return choice->choice.choose(n_tokens, now);
}

void hr_test_learn(hr_test_choice *choice, int32_t n_tokens, double seconds, double ran,
                   double now) {
    choice->choice.learn(n_tokens, seconds, ran, now);
}

int32_t hr_test_n_threads(hr_context *handle) {
    const auto core = hr::context_core(handle);
    return core == nullptr ? 0 : llama_n_threads(core->context);
}

}  // extern "C"
