// What the programs for comparison begin with: the model, and token ids from a line.
#pragma once

#include <sstream>
#include <string>
#include <vector>

#include "llama.h"

// The model of a file; NULL if it cannot be loaded. Nothing is logged.
inline llama_model *load_model(const char *path, const char *library_dir) {
    llama_log_set([](ggml_log_level, const char *, void *) {}, nullptr);
    llama_backend_init();
    if (ggml_backend_dev_count() == 0) {
        ggml_backend_load_all_from_path(library_dir);
    }
    return llama_model_load_from_file(path, llama_model_default_params());
}

inline std::vector<llama_token> tokens_of(const std::string &line) {
    std::istringstream words(line);
    std::vector<llama_token> tokens;
    for (llama_token token; words >> token;) {
        tokens.push_back(token);
    }
    return tokens;
}
