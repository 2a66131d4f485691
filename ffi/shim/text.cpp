// Text to tokens and back.
//
// Some tokenizers split text by std::regex, which recurses once for every
// character of a match: a run of some ten thousand letters overflows an ordinary
// stack, which no handler can turn into an error. Long text is therefore
// tokenized on a thread whose stack is large enough for the whole of it. It is
// split at its special tokens by the shim: see specials.cpp.
#include <algorithm>
#include <climits>
#include <cstdlib>
#include <limits>

#include "text.h"

#include "model.h"
#include "watched.h"

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

// Tokens of a text by llama.cpp's tokenizer, put behind others.
void append_tokens(const llama_vocab *vocab, const char *text, size_t n_bytes, bool add_special,
                   std::vector<llama_token> &out) {
    const size_t before = out.size();
    const auto size = static_cast<int32_t>(n_bytes);
    out.resize(before + n_bytes + 2);  // a byte is no more than a token, nearly always
    int32_t n = llama_tokenize(vocab, text, size, out.data() + before,
                               static_cast<int32_t>(out.size() - before), add_special, false);
    if (n < 0) {
        out.resize(before + static_cast<size_t>(-n));
        n = llama_tokenize(vocab, text, size, out.data() + before, -n, add_special, false);
    }
    out.resize(before + static_cast<size_t>(n < 0 ? 0 : n));
}

// Tokens of what is no special token.
//
// For every character without a token of its own llama.cpp's tokenizer of this type copies all
// tokens that it has so far: a text of newlines takes a time that grows with the square of its
// length. Such characters are where the text can be cut. Each piece is treated as a beginning, and
// gets the space that some vocabularies put there.
int append_stretch(ModelCore &core, const char *text, size_t n_bytes,
                   std::vector<llama_token> &out) {
    std::vector<size_t> cuts;
    if (llama_vocab_type(core.vocab) == LLAMA_VOCAB_TYPE_SPM) {
        cuts = core.loners.cuts(core.vocab, text, n_bytes);
    }
    cuts.push_back(n_bytes);
    append_tokens(core.vocab, text, cuts.front(), false, out);
    for (size_t i = 0; i + 1 < cuts.size(); ++i) {
        if (must_end()) {
            return HR_INTERRUPTED;
        }
        const char *piece = text + cuts[i];
        const size_t first = length_of(*piece);
        std::vector<llama_token> alone;
        append_tokens(core.vocab, piece, first, false, alone);  // and as many tokens as bytes
        const auto space = static_cast<std::ptrdiff_t>(alone.size() - first);
        std::vector<llama_token> tokens;
        append_tokens(core.vocab, piece, cuts[i + 1] - cuts[i], false, tokens);
        out.insert(out.end(), tokens.begin() + space, tokens.end());
    }
    return HR_OK;
}

// Tokens of a long text, stretch by stretch.
int tokenize_long(ModelCore &core, const std::string &text, bool add_special, bool parse_special,
                  std::vector<llama_token> &out) {
    std::vector<llama_token> around;  // a text's first and last token, those that it gets
    append_tokens(core.vocab, "", 0, add_special, around);
    const bool first = around.size() > 1 || llama_vocab_get_add_bos(core.vocab);
    if (!around.empty() && first) {
        out.push_back(around.front());
    }
    for (const Stretch &stretch : core.specials.split(core.vocab, text, parse_special)) {
        if (must_end()) {
            return HR_INTERRUPTED;
        }
        if (stretch.token >= 0) {
            out.push_back(stretch.token);
            continue;
        }
        const int status = append_stretch(core, text.data() + stretch.begin, stretch.length, out);
        if (status != HR_OK) {
            return status;
        }
    }
    if (!around.empty() && (around.size() > 1 || !first)) {
        out.push_back(around.back());
    }
    return HR_OK;
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

int tokenize_at_once(hr_model *handle, const char *text, int64_t n_bytes, bool add_special,
                     bool parse_special, int32_t *ids, int32_t capacity, int32_t *count,
                     hr_report *report) {
    return guarded(report, [&]() -> int {
        *count = 0;
        const auto core = model_core(handle);
        if (const int refused = usable(core); refused != HR_OK) {
            return refused;
        }
        if (n_bytes < 0 || n_bytes > kTextLimit) {
            return HR_BAD_ARGUMENT;
        }
        return counted(llama_tokenize(core->vocab, text, static_cast<int32_t>(n_bytes), ids,
                                      capacity, add_special, parse_special),
                       count, report);
    });
}

}  // namespace hr

extern "C" {

int64_t hr_text_limit(void) { return hr::kTextLimit; }

int hr_tokenize(hr_model *handle, const char *text, int64_t n_bytes, bool add_special,
                bool parse_special, int32_t *ids, int32_t capacity, int32_t *count,
                hr_check_fn check, void *user, hr_report *report) {
    if (n_bytes <= hr::kShortText) {
        return hr::tokenize_at_once(handle, text, n_bytes, add_special, parse_special, ids,
                                    capacity, count, report);
    }
    const auto core = hr::model_core(handle);
    return hr::guarded(report, [&]() -> int {
        *count = 0;
        if (const int refused = hr::usable(core); refused != HR_OK) {
            return refused;
        }
        if (n_bytes > hr::kTextLimit) {
            hr::say(report, "the text is too long to be tokenized at once");
            return HR_BAD_ARGUMENT;
        }
        std::vector<llama_token> tokens;
        const size_t stack = hr::kStackBase + static_cast<size_t>(n_bytes) * hr::kStackPerByte;
        const hr::Bounds bounds{"the text", stack, std::numeric_limits<double>::infinity(),
                                std::numeric_limits<size_t>::max()};
        bool lost = false;
        const int status = hr::watched(report, bounds, {check, user}, &lost, [&]() -> int {
            return hr::tokenize_long(*core, std::string(text, static_cast<size_t>(n_bytes)),
                                     add_special, parse_special, tokens);
        });
        if (status != HR_OK) {
            return status;
        }
        *count = static_cast<int32_t>(tokens.size());
        if (*count > capacity) {
            return HR_BUFFER_TOO_SMALL;
        }
        std::copy(tokens.begin(), tokens.end(), ids);
        return HR_OK;
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

int hr_pieces(hr_model *handle, char *bytes, int64_t capacity, int64_t *ends, int64_t *count,
              hr_report *report) {
    return hr::guarded(report, [&]() -> int {
        *count = 0;
        const auto core = hr::model_core(handle);
        if (const int refused = hr::usable(core); refused != HR_OK) {
            return refused;
        }
        int64_t at = 0;
        for (int32_t id = 0; id < core->n_vocab; ++id) {
            const int64_t room = std::clamp<int64_t>(capacity - at, 0, INT32_MAX);
            const int32_t n = llama_token_to_piece(core->vocab, id, room > 0 ? bytes + at : bytes,
                                                   static_cast<int32_t>(room), /* lstrip */ 0,
                                                   /* special */ false);
            at += std::abs(n);
            ends[id] = at;
        }
        *count = at;
        return at > capacity ? HR_BUFFER_TOO_SMALL : HR_OK;
    });
}

}  // extern "C"
