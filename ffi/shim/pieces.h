// What a constraint on the output asks about single tokens, known once for a model.
#pragma once

#include <cstdint>
#include <mutex>
#include <string>
#include <unordered_map>

#include "guard.h"

namespace hr {

// How far a text is into a character of UTF-8.
struct Utf8 {
    uint8_t left = 0;  // bytes that are still to come
    uint8_t low = 0x80;
    uint8_t high = 0xBF;

    // False for a byte that cannot follow; the state is then of no use.
    bool feed(uint8_t byte) noexcept;
    bool feed(const std::string &bytes) noexcept;
    bool whole() const noexcept { return left == 0; }
};

// The bytes of a token; `special`: those of control tokens too, which have none in a stream.
std::string piece(const llama_vocab *vocab, llama_token token, bool special);

// Whether a token is one that no text is written for.
bool is_control(const llama_vocab *vocab, llama_token token);

// The tokens whose bytes are not whole characters.
class Fragments {
  public:
    // Looked for when they are first asked for: some 20 ms for 262,144 tokens.
    const std::unordered_map<llama_token, std::string> &of(const llama_vocab *vocab);

  private:
    std::once_flag once_;
    std::unordered_map<llama_token, std::string> found_;
};

}  // namespace hr
