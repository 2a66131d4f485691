// Text to tokens and back.
//
// Some tokenizers split text by std::regex, which recurses once for every
// character of a match: a run of some ten thousand letters overflows an ordinary
// stack, which no handler can turn into an error. Long text is therefore
// tokenized on a thread whose stack is large enough for the whole of it.
#include <climits>

#include "model.h"
#include "stack.h"

namespace hr {

namespace {

constexpr int64_t kTextLimit = int64_t{8} << 20;
constexpr int64_t kShortText = 2048;
constexpr size_t kStackPerByte = 1024;  // about 330 were seen
constexpr size_t kStackBase = size_t{1} << 20;

// What the library's "count, or minus what is needed" means.
int counted(int32_t result, int32_t *count, hr_report *report) {
    report->native_code = result;
    if (result == INT32_MIN) {
        return HR_TOKEN_OVERFLOW;
    }
    *count = result < 0 ? -result : result;
    return result < 0 ? HR_BUFFER_TOO_SMALL : HR_OK;
}

bool valid_ids(const ModelCore &core, const int32_t *ids, int32_t n_ids) {
    for (int32_t i = 0; i < n_ids; ++i) {
        if (ids[i] < 0 || ids[i] >= core.n_vocab) {
            return false;
        }
    }
    return true;
}

}  // namespace

}  // namespace hr

extern "C" {

int64_t hr_text_limit(void) { return hr::kTextLimit; }

int hr_tokenize(hr_model *handle, const char *text, int64_t n_bytes, bool add_special,
                bool parse_special, int32_t *ids, int32_t capacity, int32_t *count,
                hr_report *report) {
    const auto core = hr::model_core(handle);
    const auto tokenize = [&]() -> int {
        return hr::counted(
            llama_tokenize(core->vocab, text, static_cast<int32_t>(n_bytes), ids, capacity,
                           add_special, parse_special),
            count, report);
    };
    return hr::guarded(report, [&]() -> int {
        *count = 0;
        if (const int refused = hr::usable(core); refused != HR_OK) {
            return refused;
        }
        if (n_bytes < 0 || n_bytes > hr::kTextLimit) {
            hr::say(report, "the text is too long to be tokenized at once");
            return HR_BAD_ARGUMENT;
        }
        if (n_bytes <= hr::kShortText) {
            return tokenize();
        }
        int status = HR_OK;
        const size_t stack = hr::kStackBase + static_cast<size_t>(n_bytes) * hr::kStackPerByte;
        const int started =
            hr::with_stack(stack, [&] { status = hr::guarded(report, tokenize); });
        return started == HR_OK ? status : started;
    });
}

int hr_detokenize(hr_model *handle, const int32_t *ids, int32_t n_ids, bool special, char *text,
                  int32_t capacity, int32_t *count, hr_report *report) {
    return hr::guarded(report, [&]() -> int {
        *count = 0;
        const auto core = hr::model_core(handle);
        if (const int refused = hr::usable(core); refused != HR_OK) {
            return refused;
        }
        if (!hr::valid_ids(*core, ids, n_ids)) {
            return HR_BAD_ARGUMENT;
        }
        // The space that some tokenizers put before a text is taken away from the first token
        // only, so a BOS that is not shown must not be the first.
        const llama_token bos = llama_vocab_bos(core->vocab);
        while (!special && n_ids > 0 && ids[0] == bos) {
            ++ids;
            --n_ids;
        }
        return hr::counted(llama_detokenize(core->vocab, ids, n_ids, text, capacity,
                                            /* remove_special */ false,
                                            /* unparse_special */ special),
                           count, report);
    });
}

int hr_piece(hr_model *handle, int32_t id, char *bytes, int32_t capacity, int32_t *count,
             hr_report *report) {
    return hr::guarded(report, [&]() -> int {
        *count = 0;
        const auto core = hr::model_core(handle);
        if (const int refused = hr::usable(core); refused != HR_OK) {
            return refused;
        }
        if (!hr::valid_ids(*core, &id, 1)) {
            return HR_BAD_ARGUMENT;
        }
        return hr::counted(llama_token_to_piece(core->vocab, id, bytes, capacity,
                                                /* lstrip */ 0, /* special */ false),
                           count, report);
    });
}

}  // extern "C"
