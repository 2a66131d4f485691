// Log-probabilities of the model's own distribution: the softmax of a row of logits as the model
// left it, before biases, penalties and samplers.
#pragma once

#include "guard.h"

namespace hr {

// Writes the token's log-probability, then those of the `n_top` most likely tokens, best first.
// Returns how many were written: fewer where fewer tokens are possible.
int32_t write_logprobs(const float *logits, int32_t n_vocab, llama_token token, int32_t n_top,
                       hr_logprob *out);

}  // namespace hr
