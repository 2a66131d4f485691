// How likely llama.cpp finds a text, for comparison: all logits of one batch, and their softmax.
//
// usage: reference_score MODEL LIBRARY_DIR < texts
// A line of token ids for each text; a line of log-probabilities comes out, one for each token but
// the first.
#include <cmath>
#include <cstdio>
#include <iostream>
#include <string>
#include <vector>

#include "llama.h"
#include "reference.h"

int main(int argc, char **argv) {
    if (argc != 3) {
        return 2;
    }
    llama_model *model = load_model(argv[1], argv[2]);
    if (model == nullptr) {
        return 1;
    }
    const int n_vocab = llama_vocab_n_tokens(llama_model_get_vocab(model));
    std::string line;
    while (std::getline(std::cin, line)) {
        std::vector<llama_token> tokens = tokens_of(line);
        llama_context_params params = llama_context_default_params();
        params.n_ctx = 512;
        params.n_threads = params.n_threads_batch = 1;
        llama_context *context = llama_init_from_model(model, params);
        const int count = static_cast<int>(tokens.size()) - 1;
        llama_batch batch = llama_batch_init(count, 0, 1);
        for (int i = 0; i < count; ++i) {
            batch.token[i] = tokens[i];
            batch.pos[i] = i;
            batch.n_seq_id[i] = 1;
            batch.seq_id[i][0] = 0;
            batch.logits[i] = 1;
        }
        batch.n_tokens = count;
        if (llama_decode(context, batch) != 0) {
            return 1;
        }
        for (int i = 0; i < count; ++i) {
            const float *logits = llama_get_logits_ith(context, i);
            long double sum = 0;
            for (int id = 0; id < n_vocab; ++id) {
                sum += std::exp(static_cast<long double>(logits[id]));
            }
            std::printf("%.12Lg ", logits[tokens[i + 1]] - std::log(sum));
        }
        std::printf("\n");
        llama_batch_free(batch);
        llama_free(context);
    }
    llama_model_free(model);
    return 0;
}
