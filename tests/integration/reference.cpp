// What llama.cpp itself writes, for comparison: its own batches, samplers and order.
//
// usage: reference MODEL LIBRARY_DIR N_TOKENS SEED < prompts
// One prompt a line, as token ids; one line of token ids for each comes out.
// SEED -1 is greedy; any other goes through the default chain of samplers.
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <string>
#include <vector>

#include "llama.h"
#include "reference.h"

static llama_sampler *make_sampler(long seed) {
    llama_sampler *chain = llama_sampler_chain_init(llama_sampler_chain_default_params());
    if (seed < 0) {
        llama_sampler_chain_add(chain, llama_sampler_init_greedy());
        return chain;
    }
    llama_sampler_chain_add(chain, llama_sampler_init_top_k(40));
    llama_sampler_chain_add(chain, llama_sampler_init_top_p(0.95f, 1));
    llama_sampler_chain_add(chain, llama_sampler_init_min_p(0.05f, 1));
    llama_sampler_chain_add(chain, llama_sampler_init_temp(0.8f));
    llama_sampler_chain_add(chain, llama_sampler_init_dist(static_cast<uint32_t>(seed)));
    return chain;
}

int main(int argc, char **argv) {
    if (argc != 5) {
        return 2;
    }
    llama_model *model = load_model(argv[1], argv[2]);
    if (model == nullptr) {
        return 1;
    }
    const int n_tokens = std::atoi(argv[3]);
    const long seed = std::atol(argv[4]);
    std::string line;
    while (std::getline(std::cin, line)) {
        std::vector<llama_token> tokens = tokens_of(line);
        llama_context_params params = llama_context_default_params();
        params.n_ctx = 512;
        params.n_threads = params.n_threads_batch = 1;  // threads wait for each other by spinning
        llama_context *context = llama_init_from_model(model, params);
        llama_sampler *sampler = make_sampler(seed);
        for (int i = 0; i < n_tokens; ++i) {
            const auto count = static_cast<int32_t>(tokens.size());
            if (llama_decode(context, llama_batch_get_one(tokens.data(), count)) != 0) {
                return 1;
            }
            tokens = {llama_sampler_sample(sampler, context, -1)};
            std::printf("%d ", tokens[0]);
        }
        std::printf("\n");
        llama_sampler_free(sampler);
        llama_free(context);
    }
    llama_model_free(model);
    return 0;
}
