// Letting go of adapters, and setting them on a context.
#include "adapters.h"

#include <algorithm>

#include "context.h"

struct hr_adapter {
    std::shared_ptr<hr::AdapterCore> core;  // through the atomic functions only
};

namespace hr {

namespace {

std::shared_ptr<AdapterCore> adapter_core(const hr_adapter *handle) noexcept {
    return handle == nullptr ? nullptr : std::atomic_load(&handle->core);
}

template <typename Read>
int load(hr_adapter *handle, hr_model *model, hr_report *report, Read read) {
    return guarded(report, [&]() -> int {
        auto core = std::make_shared<AdapterCore>();
        core->model = model_core(model);
        if (const int refused = usable(core->model); refused != HR_OK) {
            return refused;
        }
        const int status = read(*core);
        if (status == HR_OK) {
            std::atomic_store(&handle->core, std::move(core));
        }
        return status;
    });
}

bool same(const Use &left, const Use &right) {
    return left.adapter == right.adapter && left.scale == right.scale &&
           left.first_layer == right.first_layer && left.last_layer == right.last_layer;
}

int gather(const ContextCore &core, const hr_use *uses, int32_t n_uses, std::vector<Use> &wanted,
           hr_report *report) {
    for (int32_t i = 0; i < n_uses; ++i) {
        const hr_use &use = uses[i];
        auto adapter = adapter_core(use.adapter);
        if (const int refused = usable(adapter); refused != HR_OK) {
            return refused;
        }
        if (adapter->model != core.model) {
            say(report, "an adapter belongs to another model");
            return HR_BAD_ARGUMENT;
        }
        wanted.push_back({std::move(adapter), use.scale, use.first_layer, use.last_layer});
    }
    return HR_OK;
}

void set_loras(ContextCore &core, const std::vector<Use> &wanted) {
    std::vector<llama_adapter_lora *> adapters;
    std::vector<float> scales;
    for (const Use &use : wanted) {
        if (use.adapter->lora != nullptr) {
            adapters.push_back(use.adapter->lora);
            scales.push_back(use.scale);
        }
    }
    llama_set_adapters_lora(core.context, adapters.data(), adapters.size(), scales.data());
}

// The sum of all directions, each times its strength and within its layers; empty if it is zero.
std::vector<float> summed(const std::vector<Use> &uses, int32_t n_embd) {
    std::vector<float> sum;
    for (const Use &use : uses) {
        const std::vector<float> &directions = use.adapter->directions;
        sum.resize(std::max(sum.size(), directions.size()), 0.0f);
        const auto begin = static_cast<size_t>(std::max(1, use.first_layer) - 1) * n_embd;
        const auto end = std::min(directions.size(), static_cast<size_t>(use.last_layer) * n_embd);
        for (size_t i = begin; i < end; ++i) {
            sum[i] += use.scale * directions[i];
        }
    }
    const bool zero = std::all_of(sum.begin(), sum.end(), [](float x) { return x == 0.0f; });
    return zero ? std::vector<float>() : sum;
}

int set_vectors(ContextCore &core, const std::vector<Use> &wanted) {
    const llama_model *model = core.model->model;
    const int32_t n_embd = llama_model_n_embd(model);
    const std::vector<float> before = summed(core.uses, n_embd), sum = summed(wanted, n_embd);
    if (sum == before) {
        return HR_OK;
    }
    // Always as long as the network: what is missing at the end would stay as it was.
    const int32_t done =
        sum.empty() ? llama_set_adapter_cvec(core.context, nullptr, 0, n_embd, -1, -1)
                    : llama_set_adapter_cvec(core.context, sum.data(), sum.size(), n_embd, 1,
                                             llama_model_n_layer(model) - 1);
    return done == 0 ? HR_OK : HR_ADAPTER_REFUSED;
}

int use(ContextCore &core, const hr_use *uses, int32_t n_uses, hr_report *report) {
    std::vector<Use> wanted;
    if (const int refused = gather(core, uses, n_uses, wanted, report); refused != HR_OK) {
        return refused;
    }
    if (std::equal(wanted.begin(), wanted.end(), core.uses.begin(), core.uses.end(), same)) {
        return HR_OK;
    }
    core.reserves = true;
    const int status = set_vectors(core, wanted);
    if (status != HR_OK) {
        return status;
    }
    set_loras(core, wanted);
    core.uses = std::move(wanted);  // only now may those that were set before be freed
    return HR_OK;
}

}  // namespace

AdapterCore::~AdapterCore() {
    if (lora != nullptr && born == generation() && !quiet()) {
        guarded(nullptr, [&]() -> int {
            const std::lock_guard<std::mutex> lock(model->adapters);
            llama_adapter_lora_free(lora);
            return HR_OK;
        });
    }
}

}  // namespace hr

extern "C" {

hr_adapter *hr_adapter_new(void) { return new (std::nothrow) hr_adapter; }

int hr_adapter_load_lora(hr_adapter *handle, hr_model *model, const char *path,
                         const char *model_path, hr_adapter_info *info, hr_report *report) {
    return hr::load(handle, model, report, [&](hr::AdapterCore &core) {
        return hr::read_lora(core, path, model_path, info, report);
    });
}

int hr_adapter_load_vector(hr_adapter *handle, hr_model *model, const char *path,
                           hr_adapter_info *info, hr_report *report) {
    return hr::load(handle, model, report, [&](hr::AdapterCore &core) {
        return hr::read_vector(core, path, info, report);
    });
}

bool hr_adapter_meta(const hr_adapter *handle, int32_t index, const char **key,
                     const char **value) {
    const auto core = hr::adapter_core(handle);
    if (core == nullptr || index < 0 || static_cast<size_t>(index) >= core->metadata.size()) {
        return false;
    }
    *key = core->metadata[index].first.c_str();
    *value = core->metadata[index].second.c_str();
    return true;
}

void hr_adapter_close(hr_adapter *handle) {
    if (handle != nullptr) {
        std::atomic_store(&handle->core, std::shared_ptr<hr::AdapterCore>());
    }
}

void hr_adapter_delete(hr_adapter *handle) {
    if (handle != nullptr && !hr::quiet()) {
        delete handle;
    }
}

int hr_use_adapters(hr_context *handle, const hr_use *uses, int32_t n_uses, hr_report *report) {
    return hr::exclusively(handle, report, [&](hr::ContextCore &core) -> int {
        return hr::use(core, uses, n_uses, report);
    });
}

}  // extern "C"
