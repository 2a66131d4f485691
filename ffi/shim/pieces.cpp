// The bytes of tokens, and which of them are parts of characters.
#include "pieces.h"

namespace hr {

bool Utf8::feed(uint8_t byte) noexcept {
    if (left > 0) {
        if (byte < low || byte > high) {
            return false;
        }
        --left;
        low = 0x80;
        high = 0xBF;
        return true;
    }
    if (byte < 0x80) {
        return true;
    }
    // The Unicode Standard, table 3-7: no overlong form, no surrogate, nothing above U+10FFFF.
    if (byte < 0xC2 || byte > 0xF4) {
        return false;
    }
    left = byte < 0xE0 ? 1 : byte < 0xF0 ? 2 : 3;
    low = byte == 0xE0 ? 0xA0 : byte == 0xF0 ? 0x90 : 0x80;
    high = byte == 0xED ? 0x9F : byte == 0xF4 ? 0x8F : 0xBF;
    return true;
}

bool Utf8::feed(const std::string &bytes) noexcept {
    for (const char byte : bytes) {
        if (!feed(static_cast<uint8_t>(byte))) {
            return false;
        }
    }
    return true;
}

std::string piece(const llama_vocab *vocab, llama_token token, bool special) {
    std::string bytes(64, '\0');
    int32_t count = llama_token_to_piece(vocab, token, &bytes[0],
                                         static_cast<int32_t>(bytes.size()), 0, special);
    if (count < 0) {
        bytes.resize(static_cast<size_t>(-count));
        count = llama_token_to_piece(vocab, token, &bytes[0], -count, 0, special);
    }
    bytes.resize(static_cast<size_t>(count < 0 ? 0 : count));
    return bytes;
}

bool is_control(const llama_vocab *vocab, llama_token token) {
    const int attributes = llama_vocab_get_attr(vocab, token);
    return (attributes & (LLAMA_TOKEN_ATTR_CONTROL | LLAMA_TOKEN_ATTR_UNKNOWN)) != 0;
}

const std::unordered_map<llama_token, std::string> &Fragments::of(const llama_vocab *vocab) {
    std::call_once(once_, [&] {
        const int32_t n_vocab = llama_vocab_n_tokens(vocab);
        for (llama_token token = 0; token < n_vocab; ++token) {
            std::string bytes = piece(vocab, token, false);
            Utf8 state;
            if (!state.feed(bytes) || !state.whole()) {
                found_.emplace(token, std::move(bytes));
            }
        }
    });
    return found_;
}

}  // namespace hr
