// What attention on the CPU passes over, and how it lays out keys.
//
// Included by a copy of ops.cpp, before its attention; see ops.patch there.
#pragma once

// A cell that a row does not see has -inf in the row's mask, and weight 0. Where many sequences share
// one memory that is most cells, so they are passed over by blocks and not one by one.
static constexpr uint16_t HEADRACE_HIDDEN = 0xfc00; // -inf in half precision
static constexpr uint64_t HEADRACE_HIDDEN_FOUR = 0xfc00fc00fc00fc00ull;

static inline uint64_t headrace_seen_of_four(const ggml_fp16_t * mask) {
    uint64_t four;
    memcpy(&four, mask, sizeof(four));
    return four ^ HEADRACE_HIDDEN_FOUR;
}

static inline bool headrace_all_hidden(const ggml_fp16_t * mask) { // 64 of them
    uint64_t seen = 0;
    for (int i = 0; i < 64; i += 4) {
        seen |= headrace_seen_of_four(mask + i);
    }
    return seen == 0;
}

// The first cell from `cell` on that is seen, or `end`. Without a mask every cell is.
static inline int64_t headrace_next_seen(const ggml_fp16_t * mask, int64_t cell, int64_t end) {
    if (mask == nullptr || (cell < end && mask[cell] != HEADRACE_HIDDEN)) {
        return cell;
    }
    while (cell + 64 <= end && headrace_all_hidden(mask + cell)) {
        cell += 64;
    }
    while (cell + 4 <= end && headrace_seen_of_four(mask + cell) == 0) {
        cell += 4;
    }
    while (cell < end && mask[cell] == HEADRACE_HIDDEN) {
        ++cell;
    }
    return cell;
}

// Writes eight keys as eight neighbouring columns of `width` floats a line, eight elements at a time.
// Returns how many elements that were; the rest of them are the caller's.
static inline int64_t headrace_pack_keys(const char * keys, size_t stride, ggml_type type, int64_t n_elements,
                                         float * columns, int64_t width) {
    int64_t at = 0;
#if defined(__AVX2__) && defined(__F16C__)
    for (; at + 8 <= n_elements; at += 8) {
        __m256 key[8];
        for (int i = 0; i < 8; ++i) {
            const char * place = keys + i*stride;
            if (type == GGML_TYPE_F16) {
                key[i] = _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)((const ggml_fp16_t *) place + at)));
            } else {
                key[i] = _mm256_loadu_ps((const float *) place + at);
            }
        }
        // Halves of the registers are transposed by themselves, then put together.
        __m256 half[8];
        for (int i = 0; i < 8; i += 4) {
            const __m256 ab_low  = _mm256_unpacklo_ps(key[i    ], key[i + 1]);
            const __m256 ab_high = _mm256_unpackhi_ps(key[i    ], key[i + 1]);
            const __m256 cd_low  = _mm256_unpacklo_ps(key[i + 2], key[i + 3]);
            const __m256 cd_high = _mm256_unpackhi_ps(key[i + 2], key[i + 3]);
            half[i    ] = _mm256_shuffle_ps(ab_low,  cd_low,  _MM_SHUFFLE(1, 0, 1, 0));
            half[i + 1] = _mm256_shuffle_ps(ab_low,  cd_low,  _MM_SHUFFLE(3, 2, 3, 2));
            half[i + 2] = _mm256_shuffle_ps(ab_high, cd_high, _MM_SHUFFLE(1, 0, 1, 0));
            half[i + 3] = _mm256_shuffle_ps(ab_high, cd_high, _MM_SHUFFLE(3, 2, 3, 2));
        }
        for (int i = 0; i < 4; ++i) {
            float * line = columns + (at + i)*width;
            _mm256_storeu_ps(line, _mm256_permute2f128_ps(half[i], half[i + 4], 0x20));
            _mm256_storeu_ps(line + 4*width, _mm256_permute2f128_ps(half[i], half[i + 4], 0x31));
        }
    }
#else
    GGML_UNUSED(keys);
    GGML_UNUSED(stride);
    GGML_UNUSED(type);
    GGML_UNUSED(n_elements);
    GGML_UNUSED(columns);
    GGML_UNUSED(width);
#endif
    return at;
}
