// Where the special tokens of a vocabulary stand in a text.
#pragma once

#include <cstdint>
#include <mutex>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "guard.h"

namespace hr {

// The length of a character in bytes, as llama.cpp's tokenizers see it: by its first byte.
size_t length_of(char first) noexcept;

// A special token in a text, or what lies between two of them.
struct Stretch {
    llama_token token;  // negative: what is to be tokenized
    size_t begin;
    size_t length;
};

// Splits text at special tokens, as llama.cpp does.
class Specials {
  public:
    // The stretches of a text in their order; the same ones as tokenizer_st_partition's. Control
    // tokens are text where `parse_special` is false. Ends early where the call is to end.
    std::vector<Stretch> split(const llama_vocab *vocab, const std::string &text,
                               bool parse_special);

  private:
    struct Special {
        llama_token token;
        std::string text;
        int attributes;
    };
    void learn(const llama_vocab *vocab);
    void learn(const std::string &word, size_t special);
    std::vector<bool> found_in(const std::string &text) const;

    std::once_flag once_;
    std::vector<Special> specials_;
    // A tree of their texts: from a node and a byte to the next one, and which one ends there.
    std::unordered_map<uint64_t, uint32_t> steps_;
    std::vector<std::vector<size_t>> ending_;
};

// Where a text can be cut for a tokenizer that merges neighbours wherever they make a token.
class Loners {
  public:
    // Cuts a stretch before characters that are in no token of the vocabulary, and so merge with
    // none, into pieces of some thousand bytes where there are such characters.
    std::vector<size_t> cuts(const llama_vocab *vocab, const char *text, size_t n_bytes);

  private:
    void learn(const llama_vocab *vocab);

    std::once_flag once_;
    std::unordered_set<uint32_t> known_;  // the characters in tokens, by their bytes
};

}  // namespace hr
