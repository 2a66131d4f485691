// Devices of other machines.
//
// ggml's functions for this are asked for by name: in a portable build they are in a module, and a
// user's own llama.cpp may lack them.
#include <vector>

#include "guard.h"

namespace {

using add_server_t = ggml_backend_reg_t (*)(const char *);
using start_server_t = void (*)(const char *, const char *, size_t, size_t, ggml_backend_dev_t *);

template <typename Function>
Function rpc_function(const char *name) {
    ggml_backend_reg_t registry = ggml_backend_reg_by_name("RPC");
    if (registry == nullptr) {
        return nullptr;
    }
    return reinterpret_cast<Function>(ggml_backend_reg_get_proc_address(registry, name));
}

// What is served: all GPUs, or the CPU where there is none.
std::vector<ggml_backend_dev_t> served_devices() {
    std::vector<ggml_backend_dev_t> found;
    for (size_t index = 0; index < ggml_backend_dev_count(); ++index) {
        ggml_backend_dev_t device = ggml_backend_dev_get(index);
        const auto type = ggml_backend_dev_type(device);
        if (type == GGML_BACKEND_DEVICE_TYPE_GPU || type == GGML_BACKEND_DEVICE_TYPE_IGPU) {
            found.push_back(device);
        }
    }
    if (found.empty()) {
        ggml_backend_dev_t cpu = ggml_backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_CPU);
        if (cpu != nullptr) {
            found.push_back(cpu);
        }
    }
    return found;
}

}  // namespace

extern "C" {

bool hr_rpc_available(void) {
    return rpc_function<add_server_t>("ggml_backend_rpc_add_server") != nullptr;
}

int hr_rpc_add_server(const char *endpoint, int32_t *n_devices, hr_report *report) {
    return hr::guarded(report, [&]() -> int {
        const auto add_server = rpc_function<add_server_t>("ggml_backend_rpc_add_server");
        if (add_server == nullptr) {
            return HR_NO_RPC;
        }
        ggml_backend_reg_t server = add_server(endpoint);
        if (server == nullptr) {
            return HR_RPC_NO_DEVICES;
        }
        ggml_backend_register(server);
        *n_devices = static_cast<int32_t>(ggml_backend_reg_dev_count(server));
        return HR_OK;
    });
}

int hr_rpc_serve(const char *endpoint, int32_t n_threads, hr_report *report) {
    return hr::guarded(report, [&]() -> int {
        const auto start_server = rpc_function<start_server_t>("ggml_backend_rpc_start_server");
        if (start_server == nullptr) {
            return HR_NO_RPC;
        }
        std::vector<ggml_backend_dev_t> devices = served_devices();
        const hr::Computing computing;  // for others, in this thread
        start_server(endpoint, nullptr, static_cast<size_t>(n_threads), devices.size(),
                     devices.data());
        return HR_RPC_ENDED;
    });
}

}  // extern "C"
