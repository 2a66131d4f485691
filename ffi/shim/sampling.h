// Choosing a token from logits; see sampling.cpp.
#pragma once

#include "guard.h"

namespace hr {

// Samples and accepts. Leaves the logits as they were. Throws what llama.cpp throws.
int sample(hr_sampler &sampler, float *logits, int32_t n_vocab, int32_t *token);

// After an abort inside the sampler: never used or freed again.
void abandon(hr_sampler &sampler) noexcept;

}  // namespace hr
