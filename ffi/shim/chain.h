// llama.cpp's samplers for what was asked for, in its order.
#pragma once

#include "llama_samplers.h"
#include "model.h"

namespace hr {

// How a token is drawn. The samplers that begin the order and change the logits of recent tokens
// only, and a top-k that follows them, stand apart: they need no array of all candidates.
struct Plan {
    LlamaSampler penalties;   // given recent tokens only; empty: none
    int32_t lookback = 0;     // tokens that they look at
    int32_t top_k = 0;        // 0: all
    LlamaSampler chain;       // everything else, and what selects; empty if greedy
    bool adaptive = false;    // whether adaptive-p selects
};

// Throws what llama.cpp throws.
Plan make_plan(ModelCore &model, const hr_sampling &settings);

}  // namespace hr
