// LoRA adapters and control vectors: what is loaded, and what is known of their files.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "model.h"

namespace hr {

// Freed when its handle is closed and no context has it set: a step that runs with it, or one
// that another driver has planned, never meets a freed adapter. Before its model in any case.
struct AdapterCore {
    std::shared_ptr<ModelCore> model;
    llama_adapter_lora *lora = nullptr;  // null for a control vector
    std::vector<float> directions;       // n_embd numbers for each layer from 1 on
    std::vector<std::pair<std::string, std::string>> metadata;
    unsigned born = generation();

    AdapterCore() = default;
    AdapterCore(const AdapterCore &) = delete;
    AdapterCore &operator=(const AdapterCore &) = delete;
    ~AdapterCore();
};

// adapter_files.cpp: reading the files, so that nothing in them meets an assertion later.
int read_lora(AdapterCore &core, const char *path, const char *model_path, hr_adapter_info *info,
              hr_report *report);
int read_vector(AdapterCore &core, const char *path, hr_adapter_info *info, hr_report *report);

}  // namespace hr
