// Choosing a token from logits.
//
// llama.cpp's samplers start from an array of all candidates, which for a
// vocabulary of 262,144 costs some 0.6 ms a token to fill. Greedy sampling and
// top-k, the two that are nearly always first, need no such array: a block of
// logits whose largest is below the best so far is passed over. The small set
// that remains goes through llama.cpp's own top_p, min_p, temp and dist, in its
// default order, so that a seed gives the tokens it gives there.
#include "sampling.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <unordered_map>
#include <utility>
#include <vector>

#include "model.h"

namespace {

struct SamplerFree {
    void operator()(llama_sampler *sampler) const { llama_sampler_free(sampler); }
};
using Chain = std::unique_ptr<llama_sampler, SamplerFree>;

}  // namespace

struct hr_sampler {
    hr_sampling settings;
    bool greedy = false;
    Chain chain;  // top_p, min_p, temp, dist; empty if greedy
    std::vector<llama_token> banned;
    std::vector<llama_token> recent;  // a ring of the last repeat_last_n tokens
    size_t oldest = 0;
    std::unordered_map<llama_token, int> counts;  // of the ring
    std::vector<llama_token_data> candidates;
    std::vector<std::pair<llama_token, float>> saved;  // logits changed while sampling
    bool abandoned = false;
};

namespace {

constexpr int32_t kBlock = 64;
// Dividing by less than this overflows; the limit of ever smaller temperatures is greedy.
constexpr float kColdest = 1e-30f;

// Largest of a full block, in lanes that the compiler can keep in a vector register. NaN is
// never larger than anything.
float block_max(const float *logits) {
    float lanes[8];
    std::fill(lanes, lanes + 8, -INFINITY);
    for (int32_t i = 0; i < kBlock; i += 8) {
        for (int32_t lane = 0; lane < 8; ++lane) {
            lanes[lane] = logits[i + lane] > lanes[lane] ? logits[i + lane] : lanes[lane];
        }
    }
    return *std::max_element(lanes, lanes + 8);
}

// Calls `visit(id)` for every logit that may be above `bar()`, in order of id.
template <typename Bar, typename Visit>
void visit_above(const float *logits, int32_t n_vocab, Bar bar, Visit visit) {
    int32_t id = 0;
    for (; id + kBlock <= n_vocab; id += kBlock) {
        if (block_max(logits + id) > bar()) {
            for (int32_t i = id; i < id + kBlock; ++i) {
                visit(i);
            }
        }
    }
    for (; id < n_vocab; ++id) {
        visit(id);
    }
}

// The first of the largest, as llama.cpp's greedy sampler; -1 if nothing is above -inf.
llama_token largest(const float *logits, int32_t n_vocab) {
    llama_token best = -1;
    float best_logit = -INFINITY;
    visit_above(
        logits, n_vocab, [&] { return best_logit; },
        [&](llama_token id) {
            if (logits[id] > best_logit) {
                best = id;
                best_logit = logits[id];
            }
        });
    return best;
}

bool more_likely(const llama_token_data &a, const llama_token_data &b) {
    return a.logit > b.logit || (a.logit == b.logit && a.id < b.id);
}

// The k most likely, best first; of equal ones those with the smaller ids.
void top_k(const float *logits, int32_t n_vocab, size_t k, std::vector<llama_token_data> &out) {
    out.clear();
    visit_above(
        logits, n_vocab, [&] { return out.size() < k ? -INFINITY : out.front().logit; },
        [&](llama_token id) {
            if (out.size() < k) {
                if (logits[id] > -INFINITY) {
                    out.push_back({id, logits[id], 0.0f});
                    std::push_heap(out.begin(), out.end(), more_likely);
                }
            } else if (logits[id] > out.front().logit) {
                std::pop_heap(out.begin(), out.end(), more_likely);
                out.back() = {id, logits[id], 0.0f};
                std::push_heap(out.begin(), out.end(), more_likely);
            }
        });
    std::sort_heap(out.begin(), out.end(), more_likely);
}

void all(const float *logits, int32_t n_vocab, std::vector<llama_token_data> &out) {
    out.clear();
    out.reserve(n_vocab);
    for (llama_token id = 0; id < n_vocab; ++id) {
        if (logits[id] > -INFINITY) {
            out.push_back({id, logits[id], 0.0f});
        }
    }
}

bool penalizes(const hr_sampling &settings) {
    return settings.repeat_penalty != 1.0f && settings.repeat_last_n > 0;
}

void accept(hr_sampler &sampler, llama_token token) {
    if (penalizes(sampler.settings)) {
        if (sampler.recent.size() < static_cast<size_t>(sampler.settings.repeat_last_n)) {
            sampler.recent.push_back(token);
        } else {
            llama_token &slot = sampler.recent[sampler.oldest];
            const auto gone = sampler.counts.find(slot);
            if (--gone->second == 0) {
                sampler.counts.erase(gone);
            }
            slot = token;
            sampler.oldest = (sampler.oldest + 1) % sampler.recent.size();
        }
        ++sampler.counts[token];
    }
    if (sampler.chain != nullptr) {
        llama_sampler_accept(sampler.chain.get(), token);
    }
}

// Changes single logits for the time of one draw.
class Adjusted {
  public:
    Adjusted(hr_sampler &sampler, float *logits, int32_t n_vocab)
        : saved_(sampler.saved), logits_(logits) {
        saved_.clear();
        for (const auto &[token, count] : sampler.counts) {
            if (token >= 0 && token < n_vocab) {
                // As llama.cpp's penalties sampler: dividing would favour a negative logit.
                const float penalty = sampler.settings.repeat_penalty;
                const float logit = logits[token];
                set(token, logit <= 0 ? logit * penalty : logit / penalty);
            }
        }
        for (const llama_token token : sampler.banned) {
            if (token < n_vocab) {
                set(token, -INFINITY);
            }
        }
    }
    ~Adjusted() {
        for (auto change = saved_.rbegin(); change != saved_.rend(); ++change) {
            logits_[change->first] = change->second;
        }
    }
    Adjusted(const Adjusted &) = delete;
    Adjusted &operator=(const Adjusted &) = delete;

  private:
    void set(llama_token token, float logit) {
        saved_.emplace_back(token, logits_[token]);
        logits_[token] = logit;
    }

    std::vector<std::pair<llama_token, float>> &saved_;
    float *logits_;
};

llama_token draw(hr_sampler &sampler, const float *logits, int32_t n_vocab) {
    auto &candidates = sampler.candidates;
    const int32_t k = sampler.settings.top_k;
    const bool partial = k > 0 && k < n_vocab;
    if (partial) {
        top_k(logits, n_vocab, static_cast<size_t>(k), candidates);
    } else {
        all(logits, n_vocab, candidates);
    }
    if (candidates.empty()) {
        return -1;
    }
    llama_token_data_array array = {candidates.data(), candidates.size(), -1, partial};
    llama_sampler_apply(sampler.chain.get(), &array);
    if (array.selected < 0 || array.selected >= static_cast<int64_t>(array.size)) {
        return -1;
    }
    return array.data[array.selected].id;
}

Chain build_chain(const hr_sampling &settings) {
    Chain chain(llama_sampler_chain_init({/* no_perf */ true}));
    const auto add = [&](llama_sampler *sampler) {
        if (chain == nullptr || sampler == nullptr) {
            throw std::bad_alloc();
        }
        llama_sampler_chain_add(chain.get(), sampler);
    };
    if (settings.top_p < 1.0f) {
        add(llama_sampler_init_top_p(settings.top_p, 1));
    }
    if (settings.min_p > 0.0f) {
        add(llama_sampler_init_min_p(settings.min_p, 1));
    }
    add(llama_sampler_init_temp(settings.temperature));
    add(llama_sampler_init_dist(settings.seed));
    return chain;
}

}  // namespace

namespace hr {

int sample(hr_sampler &sampler, float *logits, int32_t n_vocab, int32_t *token) {
    *token = -1;
    if (sampler.abandoned) {
        return HR_POISONED;
    }
    llama_token chosen;
    {
        const Adjusted adjusted(sampler, logits, n_vocab);
        chosen = sampler.greedy ? largest(logits, n_vocab) : draw(sampler, logits, n_vocab);
    }
    if (chosen < 0) {
        return HR_NO_CANDIDATE;
    }
    accept(sampler, chosen);
    *token = chosen;
    return HR_OK;
}

void abandon(hr_sampler &sampler) noexcept { sampler.abandoned = true; }

}  // namespace hr

extern "C" {

int hr_sampler_new(const hr_model *handle, const hr_sampling *settings, const int32_t *recent,
                   int32_t n_recent, hr_sampler **out, hr_report *report) {
    return hr::guarded(report, [&]() -> int {
        *out = nullptr;
        const auto core = hr::model_core(handle);
        if (const int refused = hr::usable(core); refused != HR_OK) {
            return refused;
        }
        auto sampler = std::make_unique<hr_sampler>();
        sampler->settings = *settings;
        sampler->greedy = settings->temperature < kColdest;
        if (!sampler->greedy) {
            sampler->chain = build_chain(*settings);
        }
        if (settings->ban_eog) {
            sampler->banned = core->eog;
        }
        for (int32_t i = 0; i < n_recent; ++i) {
            accept(*sampler, recent[i]);
        }
        *out = sampler.release();
        return HR_OK;
    });
}

void hr_sampler_free(hr_sampler *sampler) {
    if (sampler != nullptr && !sampler->abandoned && !hr::quiet()) {
        hr::guarded(nullptr, [&]() -> int {
            delete sampler;
            return HR_OK;
        });
    }
}

int hr_test_sample(hr_sampler *sampler, float *logits, int32_t n_vocab, int32_t *token,
                   hr_report *report) {
    return hr::guarded(report,
                       [&]() -> int { return hr::sample(*sampler, logits, n_vocab, token); });
}

}  // extern "C"
