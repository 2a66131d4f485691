// Constrained output: drawing a token that the grammar allows.
//
// As llama.cpp does it: a token is drawn as if there were no grammar, and the
// grammar is asked about that one. If it refuses, it is asked about all
// candidates, and a token is drawn from those that are left. Where the draw is
// greedy or begins with top-k, it is asked about the most likely ones first, and
// about all only if too few of them are left: the draw is the same.
#include <algorithm>
#include <cmath>

#include "candidates.h"
#include "constraint.h"
#include "sampler.h"

namespace hr {

namespace {

constexpr size_t kAskedFirst = 256;

void keep(Adjusted &adjusted, const std::vector<llama_token_data> &candidates) {
    for (const llama_token_data &candidate : candidates) {
        if (candidate.logit == -INFINITY) {
            adjusted.set(candidate.id, -INFINITY);
        }
    }
}

// Leaves a chance to what the grammar allows.
void confine(hr_sampler &sampler, Adjusted &adjusted, const float *logits, int32_t n_vocab,
             Mask mask) {
    auto &candidates = sampler.candidates;
    const bool greedy = sampler.plan.chain == nullptr;
    const size_t wanted = greedy ? 1 : static_cast<size_t>(sampler.plan.top_k);
    const size_t asked = std::max(4 * wanted, kAskedFirst);
    if (wanted > 0 && asked < static_cast<size_t>(n_vocab)) {
        most_likely(logits, n_vocab, asked, candidates, mask);
        if (sampler.constraint->filter(candidates) >= wanted) {
            return keep(adjusted, candidates);
        }
    }
    all_candidates(logits, n_vocab, candidates, mask);
    sampler.constraint->filter(candidates);
    keep(adjusted, candidates);
}

// A generation that ignores its end goes on as long as the grammar lets it.
llama_token last_resort(hr_sampler &sampler, Mask mask) {
    if (!mask.everything() || !sampler.constraint->complete()) {
        return -1;
    }
    const llama_token eos = llama_vocab_eos(sampler.model->vocab);
    return eos >= 0 && llama_vocab_is_eog(sampler.model->vocab, eos) ? eos
                                                                     : sampler.model->eog.front();
}

}  // namespace

llama_token redraw(hr_sampler &sampler, Adjusted &adjusted, float *logits, int32_t n_vocab,
                   Mask mask, llama_token refused) {
    llama_token token = refused;
    if (sampler.constraint->dormant()) {
        // Only a token that wakes the grammar can be refused, and there are few of them.
        while (token >= 0 && !sampler.constraint->allows(token)) {
            adjusted.set(token, -INFINITY);
            token = draw_adjusted(sampler, logits, n_vocab, mask);
        }
        return token;
    }
    if (token >= 0) {
        confine(sampler, adjusted, logits, n_vocab, mask);
        token = draw_adjusted(sampler, logits, n_vocab, mask);
        if (token >= 0 && !sampler.constraint->allows(token)) {
            // llama.cpp's infill sampler puts an end token in where it was taken out.
            token = largest(logits, n_vocab, mask);
        }
    }
    return token >= 0 ? token : last_resort(sampler, mask);
}

}  // namespace hr

extern "C" int hr_sampler_constrain(hr_sampler *sampler, const hr_constraint *asked,
                                    hr_report *report) {
    return hr::guarded(report, [&]() -> int {
        try {
            sampler->constraint = std::make_unique<hr::Constraint>(*sampler->model, *asked);
        } catch (const std::regex_error &error) {
            hr::say(report, error.what());
            return HR_BAD_TRIGGER;
        }
        return sampler->constraint->compile(report);
    });
}
