// Samplers for Python: made, cloned, freed. Steps use them.
#include <algorithm>
#include <cmath>

#include "sampler.h"

namespace {

// Biases, and what must not be chosen by the model's own list.
std::vector<llama_logit_bias> biases(const hr::ModelCore &model, const hr_sampling &settings) {
    std::vector<llama_logit_bias> found;
    for (int32_t i = 0; i < settings.n_biased; ++i) {
        found.push_back({settings.biased[i], settings.biases[i]});
    }
    int32_t n_suppressed = 0;
    const llama_token *suppressed = llama_vocab_get_suppress_tokens(model.vocab, &n_suppressed);
    for (int32_t i = 0; i < n_suppressed; ++i) {
        found.push_back({suppressed[i], -INFINITY});
    }
    return found;
}

// The ends that nothing bans, its end of a text before others.
std::vector<llama_token> free_ends(const hr::ModelCore &model,
                                   const std::vector<llama_logit_bias> &biases) {
    std::vector<llama_token> found;
    for (const llama_token end : model.eog) {
        const auto bans = [&](const llama_logit_bias &each) {
            return each.token == end && each.bias == -INFINITY;
        };
        if (std::none_of(biases.begin(), biases.end(), bans)) {
            found.push_back(end);
        }
    }
    std::stable_partition(found.begin(), found.end(), [&](llama_token end) {
        return end == llama_vocab_eos(model.vocab);
    });
    return found;
}

bool infills(const hr_sampling &settings) {
    for (int32_t i = 0; i < settings.n_samplers; ++i) {
        if (settings.samplers[i] == HR_SAMPLER_INFILL) {
            return settings.mirostat == 0;
        }
    }
    return false;
}

// What llama.cpp would answer with an assertion.
int refused(const hr::ModelCore &model, const hr_sampling &settings) {
    for (int32_t i = 0; i < settings.n_biased; ++i) {
        if (settings.biased[i] < 0 || settings.biased[i] >= model.n_vocab) {
            return HR_BAD_ARGUMENT;
        }
    }
    if (infills(settings) && llama_vocab_eot(model.vocab) < 0 && llama_vocab_eos(model.vocab) < 0) {
        return HR_NO_END_TOKEN;
    }
    return HR_OK;
}

}  // namespace

extern "C" {

int hr_sampler_new(const hr_model *handle, const hr_sampling *settings, const int32_t *recent,
                   int32_t n_recent, hr_sampler **out, hr_report *report) {
    return hr::guarded(report, [&]() -> int {
        *out = nullptr;
        const auto core = hr::model_core(handle);
        if (const int status = hr::usable(core); status != HR_OK) {
            return status;
        }
        if (const int status = refused(*core, *settings); status != HR_OK) {
            return status;
        }
        auto sampler = std::make_unique<hr_sampler>();
        sampler->model = core;
        sampler->plan = hr::make_plan(*core, *settings);
        sampler->recent = hr::Recent(sampler->plan.lookback);
        sampler->biases = biases(*core, *settings);
        if (settings->ban_eog) {
            sampler->withheld = free_ends(*core, sampler->biases);
            for (const llama_token end : core->eog) {
                sampler->biases.push_back({end, -INFINITY});
            }
        }
        for (int32_t i = 0; i < n_recent; ++i) {
            hr::accept(*sampler, recent[i]);
        }
        *out = sampler.release();
        return HR_OK;
    });
}

int hr_sampler_clone(const hr_sampler *sampler, hr_sampler **out, hr_report *report) {
    return hr::guarded(report, [&]() -> int {
        *out = nullptr;
        if (sampler->abandoned) {
            return HR_POISONED;
        }
        *out = hr::clone(*sampler).release();
        return HR_OK;
    });
}

void hr_sampler_free(hr_sampler *sampler) {
    // In a forked child a thread of the parent may have been inside it.
    if (sampler != nullptr && !sampler->abandoned && !hr::quiet() &&
        sampler->model->born == hr::generation()) {
        hr::guarded(nullptr, [&]() -> int {
            delete sampler;
            return HR_OK;
        });
    }
}

}  // extern "C"
