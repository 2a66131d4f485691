// What llama.cpp itself draws with the samplers that its programs use, for comparison.
//
// usage: reference_sampling MODEL LIBRARY_DIR N_TOKENS < cases
// A case is a line: fields of the sampling as name=value, a colon, the prompt's token ids. One line
// of token ids for each comes out. The field `logits_to` names a file for the rows of logits.
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "common.h"
#include "llama.h"
#include "reference.h"
#include "sampling.h"

using Words = std::vector<std::string>;

static Words split(const std::string &text, char separator) {
    Words words;
    std::istringstream stream(text);
    for (std::string word; std::getline(stream, word, separator);) {
        words.push_back(word);
    }
    return words;
}

static float number(const std::string &text) {
    return static_cast<float>(std::strtod(text.c_str(), nullptr));
}

static std::string from_hex(const std::string &text) {
    std::string bytes;
    for (size_t i = 0; i + 1 < text.size(); i += 2) {
        bytes.push_back(static_cast<char>(std::stoi(text.substr(i, 2), nullptr, 16)));
    }
    return bytes;
}

struct Case {
    common_params_sampling sampling;
    std::string logits_to;
    std::vector<llama_token> prompt;
};

static void set(Case &each, const std::string &name, const std::string &value) {
    auto &s = each.sampling;
    const std::map<std::string, float *> floats = {
        {"temperature", &s.temp},
        {"dynatemp_range", &s.dynatemp_range},
        {"dynatemp_exponent", &s.dynatemp_exponent},
        {"top_p", &s.top_p},
        {"min_p", &s.min_p},
        {"typical_p", &s.typ_p},
        {"top_n_sigma", &s.top_n_sigma},
        {"xtc_probability", &s.xtc_probability},
        {"xtc_threshold", &s.xtc_threshold},
        {"repeat_penalty", &s.penalty_repeat},
        {"frequency_penalty", &s.penalty_freq},
        {"presence_penalty", &s.penalty_present},
        {"dry_multiplier", &s.dry_multiplier},
        {"dry_base", &s.dry_base},
        {"adaptive_target", &s.adaptive_target},
        {"adaptive_decay", &s.adaptive_decay},
        {"mirostat_tau", &s.mirostat_tau},
        {"mirostat_eta", &s.mirostat_eta},
    };
    const std::map<std::string, int32_t *> integers = {
        {"top_k", &s.top_k},
        {"min_keep", &s.min_keep},
        {"repeat_last_n", &s.penalty_last_n},
        {"dry_allowed_length", &s.dry_allowed_length},
        {"dry_penalty_last_n", &s.dry_penalty_last_n},
        {"mirostat", &s.mirostat},
    };
    if (const auto found = floats.find(name); found != floats.end()) {
        *found->second = number(value);
    } else if (const auto whole = integers.find(name); whole != integers.end()) {
        *whole->second = std::stoi(value);
    } else if (name == "seed") {
        s.seed = static_cast<uint32_t>(std::stoul(value));
    } else if (name == "samplers") {
        s.samplers = common_sampler_types_from_names(split(value, ';'));
    } else if (name == "dry_sequence_breakers") {
        s.dry_sequence_breakers.clear();
        for (const auto &word : split(value, ';')) {
            s.dry_sequence_breakers.push_back(from_hex(word));
        }
    } else if (name == "logit_bias") {
        for (const auto &word : split(value, ';')) {
            const Words pair = split(word, '/');
            s.logit_bias.push_back({std::stoi(pair.at(0)), number(pair.at(1))});
        }
    } else if (name == "logits_to") {
        each.logits_to = value;
    } else {
        std::fprintf(stderr, "no field %s\n", name.c_str());
        std::exit(2);
    }
}

static Case read(const std::string &line) {
    Case each;
    std::istringstream words(line);
    for (std::string word; words >> word && word != ":";) {
        const size_t equals = word.find('=');
        set(each, word.substr(0, equals), word.substr(equals + 1));
    }
    for (llama_token token; words >> token;) {
        each.prompt.push_back(token);
    }
    return each;
}

static bool run(llama_model *model, Case &each, int n_tokens) {
    llama_context_params params = llama_context_default_params();
    params.n_ctx = 512;
    params.n_threads = params.n_threads_batch = 1;  // threads wait for each other by spinning
    llama_context *context = llama_init_from_model(model, params);
    common_sampler *sampler = common_sampler_init(model, each.sampling);
    FILE *logits = each.logits_to.empty() ? nullptr : std::fopen(each.logits_to.c_str(), "wb");
    const auto n_vocab = static_cast<size_t>(llama_vocab_n_tokens(llama_model_get_vocab(model)));
    for (const llama_token token : each.prompt) {
        common_sampler_accept(sampler, token, false);
    }
    std::vector<llama_token> tokens = each.prompt;
    bool ok = true;
    for (int i = 0; ok && i < n_tokens; ++i) {
        const auto count = static_cast<int32_t>(tokens.size());
        ok = llama_decode(context, llama_batch_get_one(tokens.data(), count)) == 0;
        if (ok && logits != nullptr) {
            std::fwrite(llama_get_logits_ith(context, -1), sizeof(float), n_vocab, logits);
        }
        if (ok) {
            tokens = {common_sampler_sample(sampler, context, -1)};
            common_sampler_accept(sampler, tokens[0], true);
            std::printf("%d ", tokens[0]);
        }
    }
    std::printf("\n");
    if (logits != nullptr) {
        std::fclose(logits);
    }
    common_sampler_free(sampler);
    llama_free(context);
    return ok;
}

int main(int argc, char **argv) {
    if (argc != 4) {
        return 2;
    }
    llama_model *model = load_model(argv[1], argv[2]);
    if (model == nullptr) {
        return 1;
    }
    for (std::string line; std::getline(std::cin, line);) {
        Case each = read(line);
        if (!run(model, each, std::atoi(argv[3]))) {
            return 1;
        }
    }
    llama_model_free(model);
    return 0;
}
