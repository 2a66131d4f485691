// The candidates of a draw, out of a row of logits.
//
// llama.cpp's samplers start from an array of all candidates, which for a
// vocabulary of 262,144 costs some 0.6 ms a token to fill. Greedy sampling and
// top-k, the two that are nearly always first, need no such array: a block of
// logits whose largest is below the best so far is passed over, and so is one of
// which nothing is allowed.
//
// Tokens without a chance (-inf, NaN, not in the mask) are no candidates.
#pragma once

#include <vector>

#include "mask.h"

namespace hr {

// The first of the largest, as llama.cpp's greedy sampler; -1 if nothing is above -inf.
llama_token largest(const float *logits, int32_t n_vocab, Mask mask = {});

// The k most likely, best first; of equal ones those with the smaller ids.
void most_likely(const float *logits, int32_t n_vocab, size_t k, std::vector<llama_token_data> &out,
                 Mask mask = {});

// All of them, in order of id.
void all_candidates(const float *logits, int32_t n_vocab, std::vector<llama_token_data> &out,
                    Mask mask = {});

}  // namespace hr
