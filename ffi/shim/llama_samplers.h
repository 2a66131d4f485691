// Samplers of llama.cpp, owned.
#pragma once

#include <memory>
#include <new>

#include "guard.h"

namespace hr {

struct LlamaSamplerFree {
    void operator()(llama_sampler *sampler) const { llama_sampler_free(sampler); }
};
using LlamaSampler = std::unique_ptr<llama_sampler, LlamaSamplerFree>;

// A sampler of the same kind in the same state; none for none.
inline LlamaSampler clone(const LlamaSampler &sampler) {
    if (sampler == nullptr) {
        return nullptr;
    }
    LlamaSampler cloned(llama_sampler_clone(sampler.get()));
    if (cloned == nullptr) {
        throw std::bad_alloc();
    }
    return cloned;
}

}  // namespace hr
