// Splitting text at special tokens in a time that grows with its length; see specials.h.
//
// llama.cpp's own way keeps the stretches in a list and counts from its beginning for each one
// that it splits, so that a text full of special tokens takes a time that grows with the square of
// its length: hours for five megabytes. What comes out is the same here: the tokens are looked
// for in the same order, the longest first, each in the stretches that the ones before have left.
#include "specials.h"

#include <algorithm>
#include <cctype>
#include <string_view>

#include "watched.h"

namespace hr {

namespace {

constexpr int kSplitting =
    LLAMA_TOKEN_ATTR_CONTROL | LLAMA_TOKEN_ATTR_USER_DEFINED | LLAMA_TOKEN_ATTR_UNKNOWN;

uint64_t step_of(uint32_t node, char byte) noexcept {
    return uint64_t{node} << 8 | static_cast<uint8_t>(byte);
}

// One stretch of text, split at each place where a token's text stands in it.
void split_stretch(const std::string &text, const Stretch &stretch, llama_token token,
                   const std::string &word, int attributes, std::vector<Stretch> &out) {
    size_t begin = stretch.begin;
    const size_t end = stretch.begin + stretch.length;
    const std::string_view seen(text.data(), end);
    for (size_t at = seen.find(word, begin); at != seen.npos; at = seen.find(word, begin)) {
        size_t left = at;
        while ((attributes & LLAMA_TOKEN_ATTR_LSTRIP) != 0 && left > begin &&
               isspace(text[left - 1])) {
            --left;
        }
        if (left > begin) {
            out.push_back({-1, begin, left - begin});
        }
        out.push_back({token, at, word.size()});
        begin = at + word.size();
        while ((attributes & LLAMA_TOKEN_ATTR_RSTRIP) != 0 && begin < end && isspace(text[begin])) {
            ++begin;
        }
    }
    if (begin < end) {
        out.push_back({-1, begin, end - begin});
    }
}

constexpr size_t kPiece = 4096;

uint32_t character_at(const char *text, size_t n_bytes) noexcept {
    uint32_t character = 0;
    const size_t length = std::min(length_of(*text), n_bytes);
    for (size_t i = 0; i < length; ++i) {
        character = character << 8 | static_cast<uint8_t>(text[i]);
    }
    return character;
}

}  // namespace

size_t length_of(char first) noexcept {
    const auto byte = static_cast<uint8_t>(first);
    return byte < 0xC0 ? 1 : byte < 0xE0 ? 2 : byte < 0xF0 ? 3 : 4;
}

void Specials::learn(const llama_vocab *vocab) {
    const int32_t n_vocab = llama_vocab_n_tokens(vocab);
    for (llama_token token = 0; token < n_vocab; ++token) {
        const int attributes = llama_vocab_get_attr(vocab, token);
        if ((attributes & kSplitting) != 0) {
            specials_.push_back({token, llama_vocab_get_text(vocab, token), attributes});
        }
    }
    // Of equally long ones llama.cpp leaves the order to std::sort. It is the same one.
    std::sort(specials_.begin(), specials_.end(), [](const Special &a, const Special &b) {
        return a.text.size() > b.text.size();
    });
    ending_.emplace_back();
    for (size_t i = 0; i < specials_.size(); ++i) {
        learn(specials_[i].text, i);
    }
}

void Specials::learn(const std::string &word, size_t special) {
    uint32_t node = 0;
    for (const char byte : word) {
        const auto next = static_cast<uint32_t>(ending_.size());
        const auto [step, fresh] = steps_.emplace(step_of(node, byte), next);
        if (fresh) {
            ending_.emplace_back();
        }
        node = step->second;
    }
    ending_[node].push_back(special);
}

std::vector<bool> Specials::found_in(const std::string &text) const {
    std::vector<bool> found(specials_.size());
    for (size_t at = 0; at < text.size(); ++at) {
        uint32_t node = 0;
        for (size_t i = at; i < text.size(); ++i) {
            const auto step = steps_.find(step_of(node, text[i]));
            if (step == steps_.end()) {
                break;
            }
            node = step->second;
            for (const size_t special : ending_[node]) {
                found[special] = true;
            }
        }
    }
    return found;
}

std::vector<Stretch> Specials::split(const llama_vocab *vocab, const std::string &text,
                                     bool parse_special) {
    std::call_once(once_, [&] { learn(vocab); });
    const std::vector<bool> found = found_in(text);
    std::vector<Stretch> stretches = {{-1, 0, text.size()}};
    for (size_t i = 0; i < specials_.size() && !must_end(); ++i) {
        const auto &[token, word, attributes] = specials_[i];
        const bool control =
            (attributes & (LLAMA_TOKEN_ATTR_CONTROL | LLAMA_TOKEN_ATTR_UNKNOWN)) != 0;
        if (!found[i] || (control && !parse_special)) {
            continue;
        }
        std::vector<Stretch> next;
        next.reserve(stretches.size());
        for (const Stretch &stretch : stretches) {
            if (stretch.token >= 0 || stretch.length < word.size()) {
                next.push_back(stretch);
            } else {
                split_stretch(text, stretch, token, word, attributes, next);
            }
        }
        stretches = std::move(next);
    }
    return stretches;
}

void Loners::learn(const llama_vocab *vocab) {
    known_.insert(' ');  // which is written as another character in tokens
    const int32_t n_vocab = llama_vocab_n_tokens(vocab);
    for (llama_token token = 0; token < n_vocab; ++token) {
        const std::string_view text = llama_vocab_get_text(vocab, token);
        for (size_t i = 0; i < text.size(); i += length_of(text[i])) {
            known_.insert(character_at(text.data() + i, text.size() - i));
        }
    }
}

std::vector<size_t> Loners::cuts(const llama_vocab *vocab, const char *text, size_t n_bytes) {
    std::call_once(once_, [&] { learn(vocab); });
    std::vector<size_t> found;
    size_t begin = 0;
    for (size_t i = 0; i < n_bytes; i += length_of(text[i])) {
        if (i - begin >= kPiece && known_.count(character_at(text + i, n_bytes - i)) == 0) {
            found.push_back(begin = i);
        }
    }
    return found;
}

}  // namespace hr
