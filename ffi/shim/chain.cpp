// Building llama.cpp's samplers; see chain.h.
#include "chain.h"

#include <algorithm>
#include <iterator>
#include <new>
#include <utility>
#include <vector>

namespace hr {

namespace {

// llama.cpp's infill sampler compares all candidates with each other. It keeps none that is less
// likely than these.
constexpr int32_t kInfillCandidates = 512;

// Dividing by less than this overflows; the limit of ever smaller temperatures is greedy.
constexpr float kColdest = 1e-30f;
// Tokens over which mirostat estimates how steep the distribution is; the paper's and llama.cpp's.
constexpr int32_t kMirostatM = 100;

using Kinds = std::vector<int32_t>;

class ChainBuilder {
  public:
    ChainBuilder() : chain_(llama_sampler_chain_init({/* no_perf */ true})) {}
    void add(llama_sampler *sampler) {
        if (chain_ == nullptr || sampler == nullptr) {
            throw std::bad_alloc();
        }
        llama_sampler_chain_add(chain_.get(), sampler);
    }
    LlamaSampler take() { return std::move(chain_); }

  private:
    LlamaSampler chain_;
};

bool does_something(int32_t kind, const hr_sampling &settings) {
    switch (kind) {
        case HR_SAMPLER_PENALTIES:
            return settings.repeat_last_n > 0 &&
                   (settings.repeat_penalty != 1.0f || settings.frequency_penalty != 0.0f ||
                    settings.presence_penalty != 0.0f);
        case HR_SAMPLER_DRY:
            return settings.dry_penalty_last_n > 0 && settings.dry_multiplier != 0.0f &&
                   settings.dry_base >= 1.0f;
        case HR_SAMPLER_TOP_N_SIGMA: return settings.top_n_sigma > 0.0f;
        case HR_SAMPLER_TOP_K: return settings.top_k > 0;
        case HR_SAMPLER_TYP_P: return settings.typical_p < 1.0f;
        case HR_SAMPLER_TOP_P: return settings.top_p < 1.0f;
        case HR_SAMPLER_MIN_P: return settings.min_p > 0.0f;
        case HR_SAMPLER_XTC:
            return settings.xtc_probability > 0.0f && settings.xtc_threshold <= 0.5f;
        default: return true;
    }
}

bool only_recent_tokens(int32_t kind) {
    return kind == HR_SAMPLER_PENALTIES || kind == HR_SAMPLER_DRY;
}

bool keeps_the_most_likely(int32_t kind) {
    return kind == HR_SAMPLER_TOP_N_SIGMA || kind == HR_SAMPLER_TOP_K ||
           kind == HR_SAMPLER_TOP_P || kind == HR_SAMPLER_MIN_P ||
           kind == HR_SAMPLER_TEMPERATURE || kind == HR_SAMPLER_ADAPTIVE_P;
}

float warm(float temperature) { return temperature < kColdest ? 0.0f : temperature; }

llama_sampler *make(int32_t kind, ModelCore &model, const hr_sampling &s) {
    const auto min_keep = static_cast<size_t>(s.min_keep);
    switch (kind) {
        case HR_SAMPLER_PENALTIES:
            return llama_sampler_init_penalties(model.n_vocab, s.repeat_last_n, s.repeat_penalty,
                                                s.frequency_penalty, s.presence_penalty);
        case HR_SAMPLER_DRY: return model.dry_samplers.make(model.vocab, s).release();
        case HR_SAMPLER_TOP_N_SIGMA: return llama_sampler_init_top_n_sigma(s.top_n_sigma);
        case HR_SAMPLER_TOP_K: return llama_sampler_init_top_k(s.top_k);
        case HR_SAMPLER_TYP_P: return llama_sampler_init_typical(s.typical_p, min_keep);
        case HR_SAMPLER_TOP_P: return llama_sampler_init_top_p(s.top_p, min_keep);
        case HR_SAMPLER_MIN_P: return llama_sampler_init_min_p(s.min_p, min_keep);
        case HR_SAMPLER_XTC:
            return llama_sampler_init_xtc(s.xtc_probability, s.xtc_threshold, min_keep, s.seed);
        case HR_SAMPLER_TEMPERATURE:
            return llama_sampler_init_temp_ext(warm(s.temperature), s.dynatemp_range,
                                               s.dynatemp_exponent);
        case HR_SAMPLER_INFILL: return llama_sampler_init_infill(model.vocab);
        default: return nullptr;
    }
}

llama_sampler *make_selecting(const ModelCore &model, const hr_sampling &s, bool adaptive) {
    switch (s.mirostat) {
        case 1:
            return llama_sampler_init_mirostat(model.n_vocab, s.seed, s.mirostat_tau,
                                               s.mirostat_eta, kMirostatM);
        case 2: return llama_sampler_init_mirostat_v2(s.seed, s.mirostat_tau, s.mirostat_eta);
        default:
            return adaptive
                       ? llama_sampler_init_adaptive_p(s.adaptive_target, s.adaptive_decay, s.seed)
                       : llama_sampler_init_dist(s.seed);
    }
}

// What of the order does something.
Kinds effective_order(const hr_sampling &settings) {
    if (settings.mirostat != 0) {
        return {HR_SAMPLER_TEMPERATURE};
    }
    Kinds order;
    std::copy_if(settings.samplers, settings.samplers + settings.n_samplers,
                 std::back_inserter(order),
                 [&](int32_t kind) { return does_something(kind, settings); });
    return order;
}

bool always_most_likely(const Kinds &rest, const hr_sampling &settings) {
    return warm(settings.temperature) == 0.0f && settings.dynatemp_range <= 0.0f &&
           std::count(rest.begin(), rest.end(), HR_SAMPLER_TEMPERATURE) != 0 &&
           std::all_of(rest.begin(), rest.end(), keeps_the_most_likely);
}

}  // namespace

Plan make_plan(ModelCore &model, const hr_sampling &settings) {
    Plan plan;
    const Kinds order = effective_order(settings);
    auto next = std::find_if_not(order.begin(), order.end(), only_recent_tokens);
    if (next != order.begin()) {
        ChainBuilder penalties;
        for (auto kind = order.begin(); kind != next; ++kind) {
            penalties.add(make(*kind, model, settings));
            plan.lookback = std::max(plan.lookback, *kind == HR_SAMPLER_DRY
                                                        ? settings.dry_penalty_last_n
                                                        : settings.repeat_last_n);
        }
        plan.penalties = penalties.take();
    }
    if (always_most_likely(Kinds(next, order.end()), settings)) {
        return plan;
    }
    if (next != order.end() && *next == HR_SAMPLER_TOP_K) {
        plan.top_k = settings.top_k;
        ++next;
    }
    ChainBuilder chain;
    bool reduced = plan.top_k > 0;
    for (; next != order.end(); ++next) {
        if (*next == HR_SAMPLER_ADAPTIVE_P) {
            plan.adaptive = true;
        } else {
            if (*next == HR_SAMPLER_INFILL && !reduced) {
                chain.add(llama_sampler_init_top_k(kInfillCandidates));
            }
            reduced = reduced || *next == HR_SAMPLER_TOP_K;
            chain.add(make(*next, model, settings));
        }
    }
    chain.add(make_selecting(model, settings, plan.adaptive));
    plan.chain = chain.take();
    return plan;
}

}  // namespace hr
