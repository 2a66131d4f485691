// A sampler of one generation: draws a token from a row of logits, and takes note of it.
//
// The two are apart, so that a draw can be looked at before it counts, and a
// clone can run ahead of what is accepted.
#pragma once

#include <memory>
#include <utility>
#include <vector>

#include "chain.h"
#include "mask.h"
#include "recent.h"

struct hr_sampler {
    std::shared_ptr<hr::ModelCore> model;  // some samplers look into its vocabulary
    hr::Plan plan;
    std::vector<llama_logit_bias> biases;  // -inf for what is banned
    std::vector<llama_token> withheld;  // ends that are banned to have the generation go on
    hr::Recent recent;
    uint64_t adaptive_draws = 0;  // random numbers that adaptive-p has used
    bool abandoned = false;
    // Kept for their memory alone.
    std::vector<llama_token_data> candidates;
    std::vector<std::pair<llama_token, float>> saved;
};

namespace hr {

// Biases and penalties, in the logits themselves for as long as this lives.
class Adjusted {
  public:
    Adjusted(hr_sampler &sampler, float *logits, int32_t n_vocab);
    ~Adjusted();
    Adjusted(const Adjusted &) = delete;
    Adjusted &operator=(const Adjusted &) = delete;

  private:
    void set(llama_token token, float logit);
    void penalize(hr_sampler &sampler);

    std::vector<std::pair<llama_token, float>> &saved_;
    float *logits_;
    int32_t n_vocab_;
};

// These throw what llama.cpp throws. A draw gives -1 if nothing is left to choose from, and
// changes nothing but the state of the random numbers. What it gives is in the mask.
llama_token draw(hr_sampler &sampler, float *logits, int32_t n_vocab, Mask mask);
void accept(hr_sampler &sampler, llama_token token);
std::unique_ptr<hr_sampler> clone(const hr_sampler &sampler);

// Draws and accepts.
int sample(hr_sampler &sampler, float *logits, int32_t n_vocab, Mask mask, int32_t *token);

// After an abort inside the sampler: never used or freed again.
void abandon(hr_sampler &sampler) noexcept;

}  // namespace hr
