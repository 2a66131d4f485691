// A loaded model, shared by its handle, its contexts and the calls that use it.
#pragma once

#include <memory>
#include <mutex>
#include <vector>

#include "dry.h"
#include "guard.h"
#include "specials.h"

namespace hr {

// Freed when the last of its users lets go: closing a model while another
// thread tokenizes, or while a context is open, frees it a little later.
struct ModelCore {
    llama_model *model = nullptr;
    const llama_vocab *vocab = nullptr;
    int32_t n_vocab = 0;
    std::vector<llama_token> eog;
    // The model keeps a set of its adapters, which loading and freeing one change, and which a
    // context goes through when it reserves memory for its computations.
    std::mutex adapters;
    DrySamplers dry_samplers;
    Specials specials;
    Loners loners;
    unsigned born = generation();

    ModelCore() = default;
    ModelCore(const ModelCore &) = delete;
    ModelCore &operator=(const ModelCore &) = delete;
    ~ModelCore();
};

std::shared_ptr<ModelCore> model_core(const hr_model *handle) noexcept;

// HR_OK, or why the core cannot be used.
template <typename Core>
int usable(const std::shared_ptr<Core> &core) noexcept {
    if (core == nullptr) {
        return HR_CLOSED;
    }
    return core->born == generation() ? HR_OK : HR_FORKED;
}

}  // namespace hr
