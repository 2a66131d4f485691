// The softmax of a row; see logprobs.h.
#include "logprobs.h"

#include <cmath>

#include "candidates.h"

namespace hr {

namespace {

// The logarithm of the sum of exp(logit), without overflow. Holes (-inf, NaN) add nothing.
double log_sum_exp(const float *logits, int32_t n_vocab) {
    float largest = -INFINITY;
    for (int32_t i = 0; i < n_vocab; ++i) {
        largest = logits[i] > largest ? logits[i] : largest;
    }
    double sum = 0.0;
    for (int32_t i = 0; i < n_vocab; ++i) {
        if (logits[i] > -INFINITY) {
            sum += std::exp(logits[i] - largest);
        }
    }
    return largest + std::log(sum);
}

}  // namespace

int32_t write_logprobs(const float *logits, int32_t n_vocab, llama_token token, int32_t n_top,
                       hr_logprob *out) {
    const double total = log_sum_exp(logits, n_vocab);
    hr_logprob *next = out;
    *next++ = {token, logits[token] - total};
    if (n_top > 0) {
        std::vector<llama_token_data> top;
        most_likely(logits, n_vocab, static_cast<size_t>(n_top), top);
        for (const auto &each : top) {
            *next++ = {each.id, each.logit - total};
        }
    }
    return static_cast<int32_t>(next - out);
}

}  // namespace hr
