// The devices of the machine, and what is set for the whole process.
#include "guard.h"

namespace {

ggml_backend_dev_t device_at(int32_t index) {
    const bool there = index >= 0 && static_cast<size_t>(index) < ggml_backend_dev_count();
    return there ? ggml_backend_dev_get(static_cast<size_t>(index)) : nullptr;
}

}  // namespace

extern "C" {

int hr_numa(int32_t strategy, hr_report *report) {
    return hr::guarded(report, [&]() -> int {
        llama_numa_init(static_cast<ggml_numa_strategy>(strategy));
        return HR_OK;
    });
}

int hr_device_memory(int32_t index, uint64_t *free, uint64_t *total, hr_report *report) {
    return hr::guarded(report, [&]() -> int {
        ggml_backend_dev_t device = device_at(index);
        if (device == nullptr) {
            return HR_BAD_ARGUMENT;
        }
        size_t n_free = 0;
        size_t n_total = 0;
        ggml_backend_dev_memory(device, &n_free, &n_total);
        *free = n_free;
        *total = n_total;
        return HR_OK;
    });
}

int hr_device_feature(int32_t device, int32_t index, const char **name, const char **value,
                      hr_report *report) {
    return hr::guarded(report, [&]() -> int {
        *name = *value = nullptr;
        ggml_backend_dev_t found = device_at(device);
        if (found == nullptr || index < 0) {
            return HR_BAD_ARGUMENT;
        }
        ggml_backend_reg_t registry = ggml_backend_dev_backend_reg(found);
        const auto features = reinterpret_cast<ggml_backend_get_features_t>(
            ggml_backend_reg_get_proc_address(registry, "ggml_backend_get_features"));
        if (features == nullptr) {
            return HR_OK;
        }
        // The list ends with a feature without a name.
        const ggml_backend_feature *feature = features(registry);
        while (feature->name != nullptr && index > 0) {
            ++feature;
            --index;
        }
        *name = feature->name;
        *value = feature->value;
        return HR_OK;
    });
}

}  // extern "C"
