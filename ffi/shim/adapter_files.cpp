// Reading the files of adapters and control vectors.
//
// llama.cpp looks at the shapes of an adapter only in part, and at its types not at all: what it
// lets through fails an assertion inside a computation, where no guard helps. So a file is looked
// at here first.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>

#include "adapters.h"
#include "gguf.h"

namespace hr {

namespace {

struct FileClose {
    void operator()(FILE *file) const { std::fclose(file); }
};
struct GgufFree {
    void operator()(gguf_context *gguf) const { gguf_free(gguf); }
};
using File = std::unique_ptr<FILE, FileClose>;
using Gguf = std::unique_ptr<gguf_context, GgufFree>;

constexpr const char *kInvocation = "adapter.alora.invocation_tokens";
constexpr const char *kEmbedding = "token_embd.weight";
constexpr const char *kLoraA = ".lora_a";
constexpr const char *kLoraB = ".lora_b";

int wrong(hr_report *report, int status, const std::string &why) {
    say(report, why.c_str());
    return status;
}

int malformed(hr_report *report, const std::string &why) {
    return wrong(report, HR_ADAPTER_FORMAT, why);
}

int mismatch(hr_report *report, const std::string &why) {
    return wrong(report, HR_ADAPTER_MISMATCH, why);
}

std::string quoted(const std::string &text) { return "'" + text + "'"; }

bool ends_with(const std::string &text, const std::string &end) {
    return text.size() >= end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
}

File open_file(const char *path) { return File(ggml_fopen(path, "rb")); }

Gguf read_header(FILE *file) {
    return Gguf(gguf_init_from_file_ptr(file, gguf_init_params{/*no_alloc=*/true, nullptr}));
}

std::string number_text(double number, int digits) {
    char text[40];
    std::snprintf(text, sizeof text, "%.*g", digits, number);
    return text;
}

// A key's value as text; false for arrays other than the invocation tokens.
bool value_text(const gguf_context *gguf, int64_t id, std::string &text) {
    switch (gguf_get_kv_type(gguf, id)) {
        case GGUF_TYPE_UINT8: text = std::to_string(gguf_get_val_u8(gguf, id)); return true;
        case GGUF_TYPE_INT8: text = std::to_string(gguf_get_val_i8(gguf, id)); return true;
        case GGUF_TYPE_UINT16: text = std::to_string(gguf_get_val_u16(gguf, id)); return true;
        case GGUF_TYPE_INT16: text = std::to_string(gguf_get_val_i16(gguf, id)); return true;
        case GGUF_TYPE_UINT32: text = std::to_string(gguf_get_val_u32(gguf, id)); return true;
        case GGUF_TYPE_INT32: text = std::to_string(gguf_get_val_i32(gguf, id)); return true;
        case GGUF_TYPE_UINT64: text = std::to_string(gguf_get_val_u64(gguf, id)); return true;
        case GGUF_TYPE_INT64: text = std::to_string(gguf_get_val_i64(gguf, id)); return true;
        case GGUF_TYPE_FLOAT32: text = number_text(gguf_get_val_f32(gguf, id), 9); return true;
        case GGUF_TYPE_FLOAT64: text = number_text(gguf_get_val_f64(gguf, id), 17); return true;
        case GGUF_TYPE_BOOL: text = gguf_get_val_bool(gguf, id) ? "true" : "false"; return true;
        case GGUF_TYPE_STRING: text = gguf_get_val_str(gguf, id); return true;
        default: break;
    }
    if (gguf_get_key(gguf, id) != std::string(kInvocation) ||
        gguf_get_kv_type(gguf, id) != GGUF_TYPE_ARRAY ||
        gguf_get_arr_type(gguf, id) != GGUF_TYPE_UINT32) {
        return false;
    }
    const auto *tokens = static_cast<const uint32_t *>(gguf_get_arr_data(gguf, id));
    for (size_t i = 0; i < gguf_get_arr_n(gguf, id); ++i) {
        text += (i == 0 ? "" : " ") + std::to_string(tokens[i]);
    }
    return true;
}

void read_metadata(AdapterCore &core, const gguf_context *gguf) {
    for (int64_t id = 0; id < gguf_get_n_kv(gguf); ++id) {
        std::string text;
        if (value_text(gguf, id, text)) {
            core.metadata.emplace_back(gguf_get_key(gguf, id), std::move(text));
        }
    }
}

// The text of a key; empty if it is not there or is no text.
std::string text_of(const gguf_context *gguf, const char *key) {
    const int64_t id = gguf_find_key(gguf, key);
    return id >= 0 && gguf_get_kv_type(gguf, id) == GGUF_TYPE_STRING ? gguf_get_val_str(gguf, id)
                                                                      : "";
}

std::string of_model(const AdapterCore &core, const std::string &key) {
    char text[128];
    const int32_t length =
        llama_model_meta_val_str(core.model->model, key.c_str(), text, sizeof text);
    return length < 0 ? "" : text;
}

// What every kernel multiplies with.
bool multipliable(ggml_type type) {
    switch (type) {
        case GGML_TYPE_F32:
        case GGML_TYPE_F16:
        case GGML_TYPE_BF16:
        case GGML_TYPE_Q4_0:
        case GGML_TYPE_Q4_1:
        case GGML_TYPE_Q5_0:
        case GGML_TYPE_Q5_1:
        case GGML_TYPE_Q8_0:
        case GGML_TYPE_Q2_K:
        case GGML_TYPE_Q3_K:
        case GGML_TYPE_Q4_K:
        case GGML_TYPE_Q5_K:
        case GGML_TYPE_Q6_K: return true;
        default: return false;
    }
}

bool has_tensor(const char *path, const char *name) {
    const File file = open_file(path);
    const Gguf gguf = file != nullptr ? read_header(file.get()) : nullptr;
    return gguf != nullptr && gguf_find_tensor(gguf.get(), name) >= 0;
}

// The matrix of a pair: as many experts as the model has, if it is of experts.
int check_matrix(const AdapterCore &core, const gguf_context *gguf, int64_t id,
                 hr_report *report) {
    const std::string name = gguf_get_tensor_name(gguf, id);
    const int64_t *ne = gguf_get_tensor_ne(gguf, id);
    if (!multipliable(gguf_get_tensor_type(gguf, id))) {
        return malformed(report, "tensor " + quoted(name) + " has the type " +
                                     ggml_type_name(gguf_get_tensor_type(gguf, id)) +
                                     ", which adapters are not made of");
    }
    const bool of_experts = name.find("_exps.") != std::string::npos;
    const int64_t n_experts =
        of_experts
            ? std::atoll(of_model(core, of_model(core, "general.architecture") + ".expert_count")
                             .c_str())
            : 1;
    if (ne[0] < 1 || ne[1] < 1 || ne[2] != n_experts || ne[3] != 1) {
        return mismatch(report, "tensor " + quoted(name) + " has a shape that fits no matrix");
    }
    return HR_OK;
}

int check_pair(const gguf_context *gguf, int64_t a, const std::string &base,
               const char *model_path, hr_adapter_info *info, hr_report *report) {
    const int64_t b = gguf_find_tensor(gguf, (base + kLoraB).c_str());
    if (b < 0) {
        return malformed(report, "tensor " + quoted(base + kLoraB) + " is missing");
    }
    // Of the embedding, A is stored the other way round: rows of it are looked up.
    const bool embeds = ends_with(base, kEmbedding);
    const int64_t rank = gguf_get_tensor_ne(gguf, b)[0];
    if (gguf_get_tensor_ne(gguf, a)[embeds ? 0 : 1] != rank) {
        return malformed(report, "the two tensors of " + quoted(base) + " have different ranks");
    }
    if (embeds && !has_tensor(model_path, "output.weight")) {
        return mismatch(report,
                        "it changes the embedding, which this model uses as its output matrix "
                        "too: llama.cpp cannot apply that");
    }
    info->rank = std::max(info->rank, static_cast<int32_t>(rank));
    return HR_OK;
}

int check_lora(const AdapterCore &core, const gguf_context *gguf, const char *model_path,
               hr_adapter_info *info, hr_report *report) {
    const std::string type = text_of(gguf, "general.type");
    if (type != "adapter" || text_of(gguf, "adapter.type") != "lora") {
        return malformed(report, "it is no LoRA adapter: its type is " + quoted(type));
    }
    const std::string made_for = text_of(gguf, "general.architecture");
    const std::string architecture = of_model(core, "general.architecture");
    if (made_for != architecture) {
        return mismatch(report, "it was made for the architecture " + quoted(made_for) +
                                    ", the model's is " + quoted(architecture));
    }
    const int64_t alpha = gguf_find_key(gguf, "adapter.lora.alpha");
    if (alpha >= 0 && (gguf_get_kv_type(gguf, alpha) != GGUF_TYPE_FLOAT32 ||
                       !std::isfinite(gguf_get_val_f32(gguf, alpha)))) {
        return malformed(report, "its alpha is no finite number");
    }
    const int64_t n_tensors = gguf_get_n_tensors(gguf);
    if (n_tensors == 0) {
        return malformed(report, "it has no tensors");
    }
    for (int64_t id = 0; id < n_tensors; ++id) {
        const std::string name = gguf_get_tensor_name(gguf, id);
        int status = HR_OK;
        if (name.find(".lora_") != name.rfind(".lora_")) {
            return malformed(report, "tensor " + quoted(name) + " has no name of a matrix");
        }
        if (ends_with(name, kLoraA) || ends_with(name, kLoraB)) {
            status = check_matrix(core, gguf, id, report);
        }
        if (status == HR_OK && ends_with(name, kLoraA)) {
            const std::string base = name.substr(0, name.size() - std::string(kLoraA).size());
            status = check_pair(gguf, id, base, model_path, info, report);
        }
        if (status != HR_OK) {
            return status;
        }
        info->n_bytes += gguf_get_tensor_size(gguf, id);
    }
    info->n_tensors = static_cast<int32_t>(n_tensors);
    return HR_OK;
}

// The layer of `direction.N`, or 0.
int32_t layer_of(const std::string &name) {
    const std::string prefix = "direction.";
    if (name.compare(0, prefix.size(), prefix) != 0) {
        return 0;
    }
    const std::string number = name.substr(prefix.size());
    const bool digits = !number.empty() && number.size() < 7 && number[0] != '0' &&
                        number.find_first_not_of("0123456789") == std::string::npos;
    return digits ? std::atoi(number.c_str()) : 0;
}

int check_direction(const AdapterCore &core, const gguf_context *gguf, int64_t id,
                    hr_report *report) {
    const llama_model *model = core.model->model;
    const std::string name = quoted(gguf_get_tensor_name(gguf, id));
    const int32_t layer = layer_of(gguf_get_tensor_name(gguf, id));
    const int64_t *ne = gguf_get_tensor_ne(gguf, id);
    if (layer == 0) {
        return malformed(report, "it is no control vector: tensor " + name + " is no direction");
    }
    if (gguf_get_tensor_type(gguf, id) != GGML_TYPE_F32 || ne[1] != 1 || ne[2] != 1 || ne[3] != 1) {
        return malformed(report, "tensor " + name + " is not a list of 32-bit floats");
    }
    const int32_t n_embd = llama_model_n_embd(model), last = llama_model_n_layer(model) - 1;
    if (ne[0] != n_embd) {
        return mismatch(report, "tensor " + name + " has " + std::to_string(ne[0]) +
                                    " numbers, the model's width is " + std::to_string(n_embd));
    }
    if (layer > last) {
        return mismatch(report, "tensor " + name + " is of a layer that the model does not have: " +
                                    "its directions are 1 to " + std::to_string(last));
    }
    return HR_OK;
}

int read_direction(AdapterCore &core, FILE *file, const gguf_context *gguf, int64_t id,
                   hr_report *report) {
    const auto n_embd = static_cast<size_t>(llama_model_n_embd(core.model->model));
    const std::string name = gguf_get_tensor_name(gguf, id);
    const size_t offset = gguf_get_data_offset(gguf) + gguf_get_tensor_offset(gguf, id);
    float *to = core.directions.data() + n_embd * (layer_of(name) - 1);
    if (std::fseek(file, static_cast<long>(offset), SEEK_SET) != 0 ||
        std::fread(to, sizeof(float), n_embd, file) != n_embd) {
        return malformed(report, "the file ends before tensor " + quoted(name) + " does");
    }
    for (size_t i = 0; i < n_embd; ++i) {
        if (!std::isfinite(to[i])) {
            return malformed(report, "tensor " + quoted(name) + " has numbers that are not finite");
        }
    }
    return HR_OK;
}

}  // namespace

int read_lora(AdapterCore &core, const char *path, const char *model_path, hr_adapter_info *info,
              hr_report *report) {
    const File file = open_file(path);
    const Gguf gguf = file != nullptr ? read_header(file.get()) : nullptr;
    if (gguf == nullptr) {
        return malformed(report, "its header cannot be read");
    }
    const int status = check_lora(core, gguf.get(), model_path, info, report);
    if (status != HR_OK) {
        return status;
    }
    read_metadata(core, gguf.get());
    std::rewind(file.get());
    const std::lock_guard<std::mutex> lock(core.model->adapters);
    core.lora = llama_adapter_lora_init_from_file_ptr(core.model->model, file.get());
    return core.lora != nullptr ? HR_OK : HR_ADAPTER_FAILED;
}

int read_vector(AdapterCore &core, const char *path, hr_adapter_info *info, hr_report *report) {
    const File file = open_file(path);
    const Gguf gguf = file != nullptr ? read_header(file.get()) : nullptr;
    if (gguf == nullptr) {
        return malformed(report, "its header cannot be read");
    }
    const std::string made_for = text_of(gguf.get(), "controlvector.model_hint");
    const std::string architecture = of_model(core, "general.architecture");
    if (!made_for.empty() && made_for != architecture) {
        return mismatch(report, "it was made for the architecture " + quoted(made_for) +
                                    ", the model's is " + quoted(architecture));
    }
    const int64_t n_tensors = gguf_get_n_tensors(gguf.get());
    if (n_tensors == 0) {
        return malformed(report, "it has no directions");
    }
    for (int64_t id = 0; id < n_tensors; ++id) {
        if (const int status = check_direction(core, gguf.get(), id, report); status != HR_OK) {
            return status;
        }
    }
    core.directions.assign(static_cast<size_t>(llama_model_n_embd(core.model->model)) *
                               (llama_model_n_layer(core.model->model) - 1),
                           0.0f);
    for (int64_t id = 0; id < n_tensors; ++id) {
        if (const int status = read_direction(core, file.get(), gguf.get(), id, report);
            status != HR_OK) {
            return status;
        }
        const int32_t layer = layer_of(gguf_get_tensor_name(gguf.get(), id));
        info->first_layer = id == 0 ? layer : std::min(info->first_layer, layer);
        info->last_layer = std::max(info->last_layer, layer);
        info->n_bytes += gguf_get_tensor_size(gguf.get(), id);
    }
    info->n_tensors = static_cast<int32_t>(n_tensors);
    read_metadata(core, gguf.get());
    return HR_OK;
}

}  // namespace hr
