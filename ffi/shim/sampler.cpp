// Drawing tokens; see sampler.h.
#include "sampler.h"

#include <algorithm>
#include <cmath>

#include "candidates.h"

namespace hr {

Adjusted::Adjusted(hr_sampler &sampler, float *logits, int32_t n_vocab)
    : saved_(sampler.saved), logits_(logits), n_vocab_(n_vocab) {
    saved_.clear();
    for (const auto &[token, bias] : sampler.biases) {
        if (token < n_vocab) {
            set(token, logits[token] + bias);
        }
    }
    if (sampler.plan.penalties != nullptr) {
        penalize(sampler);
    }
}

Adjusted::~Adjusted() {
    for (auto change = saved_.rbegin(); change != saved_.rend(); ++change) {
        logits_[change->first] = change->second;
    }
}

void Adjusted::set(llama_token token, float logit) {
    saved_.emplace_back(token, logits_[token]);
    logits_[token] = logit;
}

// llama.cpp's own samplers, given those tokens alone that they change.
void Adjusted::penalize(hr_sampler &sampler) {
    auto &candidates = sampler.candidates;
    candidates.clear();
    for (const auto &[token, count] : sampler.recent.counts()) {
        if (token >= 0 && token < n_vocab_) {
            candidates.push_back({token, logits_[token], 0.0f});
        }
    }
    llama_token_data_array array = {candidates.data(), candidates.size(), -1, false};
    llama_sampler_apply(sampler.plan.penalties.get(), &array);
    for (size_t i = 0; i < array.size; ++i) {
        if (array.data[i].logit != logits_[array.data[i].id]) {
            set(array.data[i].id, array.data[i].logit);
        }
    }
}

namespace {

llama_token draw_adjusted(hr_sampler &sampler, const float *logits, int32_t n_vocab, Mask mask) {
    const Plan &plan = sampler.plan;
    if (plan.chain == nullptr) {
        return largest(logits, n_vocab, mask);
    }
    auto &candidates = sampler.candidates;
    if (plan.top_k > 0) {
        most_likely(logits, n_vocab, static_cast<size_t>(plan.top_k), candidates, mask);
    } else {
        all_candidates(logits, n_vocab, candidates, mask);
    }
    if (candidates.empty()) {
        return -1;
    }
    llama_token_data_array array = {candidates.data(), candidates.size(), -1, plan.top_k > 0};
    llama_sampler_apply(plan.chain.get(), &array);
    if (array.selected < 0 || array.selected >= static_cast<int64_t>(array.size)) {
        return -1;
    }
    sampler.adaptive_draws += plan.adaptive && array.size > 1;
    return array.data[array.selected].id;
}

// A generation that ignores its end goes on for as long as something else is allowed.
llama_token last_resort(const hr_sampler &sampler, Mask mask) {
    if (mask.everything()) {
        return -1;
    }
    const auto &ends = sampler.withheld;
    const auto found = std::find_if(ends.begin(), ends.end(),
                                    [&](llama_token end) { return mask.has(end); });
    return found == ends.end() ? -1 : *found;
}

}  // namespace

llama_token draw(hr_sampler &sampler, float *logits, int32_t n_vocab, Mask mask) {
    Adjusted adjusted(sampler, logits, n_vocab);
    llama_token token = draw_adjusted(sampler, logits, n_vocab, mask);
    if (token >= 0 && (logits[token] == -INFINITY || !mask.has(token))) {
        // llama.cpp's infill sampler puts an end token in where it was taken out.
        token = largest(logits, n_vocab, mask);
    }
    return token >= 0 ? token : last_resort(sampler, mask);
}

void accept(hr_sampler &sampler, llama_token token) {
    sampler.recent.push(token);
    for (const auto *chain : {&sampler.plan.penalties, &sampler.plan.chain}) {
        if (*chain != nullptr) {
            llama_sampler_accept(chain->get(), token);
        }
    }
}

namespace {

// llama.cpp's clone of adaptive-p begins its random numbers again. Draws between two tokens of
// no meaning bring them to where they were. What is accepted then is no token at all (-1 would be
// taken for the one that is pending, if none is).
void catch_up(llama_sampler *adaptive, uint64_t draws) {
    for (uint64_t i = 0; i < draws; ++i) {
        llama_token_data pair[] = {{0, 0.0f, 0.0f}, {1, 0.0f, 0.0f}};
        llama_token_data_array array = {pair, 2, -1, false};
        llama_sampler_apply(adaptive, &array);
    }
    llama_sampler_accept(adaptive, -2);
}

}  // namespace

std::unique_ptr<hr_sampler> clone(const hr_sampler &sampler) {
    auto cloned = std::make_unique<hr_sampler>();
    cloned->model = sampler.model;
    cloned->plan = {clone(sampler.plan.penalties), sampler.plan.lookback, sampler.plan.top_k,
                    clone(sampler.plan.chain), sampler.plan.adaptive};
    cloned->biases = sampler.biases;
    cloned->withheld = sampler.withheld;
    cloned->recent = sampler.recent;
    cloned->adaptive_draws = sampler.adaptive_draws;
    if (sampler.plan.adaptive) {
        llama_sampler *chain = cloned->plan.chain.get();
        catch_up(llama_sampler_chain_get(chain, llama_sampler_chain_n(chain) - 1),
                 sampler.adaptive_draws);
    }
    return cloned;
}

int sample(hr_sampler &sampler, float *logits, int32_t n_vocab, Mask mask, int32_t *token) {
    *token = -1;
    if (sampler.abandoned) {
        return HR_POISONED;
    }
    const llama_token chosen = draw(sampler, logits, n_vocab, mask);
    if (chosen < 0) {
        const bool kept_back = !mask.everything() && largest(logits, n_vocab) >= 0;
        return kept_back ? HR_DEAD_END : HR_NO_CANDIDATE;
    }
    accept(sampler, chosen);
    *token = chosen;
    return HR_OK;
}

void abandon(hr_sampler &sampler) noexcept { sampler.abandoned = true; }

}  // namespace hr
