// Which tokens a draw may choose from.
#pragma once

#include <cstdint>
#include <cstring>

#if defined(_MSC_VER)
#include <intrin.h>
#endif

#include "guard.h"

namespace hr {

// A bit for each token in words of 32, the first token lowest. Without words: all tokens.
class Mask {
  public:
    static constexpr int32_t kBlock = 64;
    static constexpr uint64_t kEvery = ~uint64_t{0};

    Mask() = default;
    explicit Mask(const uint32_t *words) : words_(words) {}

    bool everything() const noexcept { return words_ == nullptr; }
    bool has(llama_token token) const noexcept {
        return everything() || (word(token / 32) >> (token % 32) & 1) != 0;
    }
    // The bits of a whole block of tokens, which begins at a multiple of its size.
    uint64_t block(llama_token first) const noexcept {
        if (everything()) {
            return kEvery;
        }
        return word(first / 32) | uint64_t{word(first / 32 + 1)} << 32;
    }

  private:
    // They lie where the caller has them, at any address.
    uint32_t word(int32_t i) const noexcept {
        uint32_t found;
        std::memcpy(&found, reinterpret_cast<const char *>(words_) + sizeof found * i,
                    sizeof found);
        return found;
    }

    const uint32_t *words_ = nullptr;
};

// The place of the lowest bit that is set, of which there is one.
inline int32_t lowest_bit(uint64_t bits) noexcept {
#if defined(_MSC_VER)
    unsigned long place;
    _BitScanForward64(&place, bits);
    return static_cast<int32_t>(place);
#else
    return __builtin_ctzll(bits);
#endif
}

}  // namespace hr
