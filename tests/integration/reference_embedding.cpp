// The vectors that llama.cpp itself makes: its own context, batches and pooling.
//
// usage: reference_embedding MODEL LIBRARY_DIR POOLING N_TEXTS N_THREADS < texts
// One text a line, as token ids; one line of numbers for each comes out, not normalized.
// POOLING is the number of an enum llama_pooling_type other than none. At most N_TEXTS texts and
// 512 tokens share a call. The seconds that all calls took go to stderr.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <string>
#include <vector>

#include "llama.h"
#include "reference.h"

constexpr int N_BATCH = 512;

static std::vector<std::vector<llama_token>> read_texts() {
    std::vector<std::vector<llama_token>> texts;
    for (std::string line; std::getline(std::cin, line);) {
        texts.push_back(tokens_of(line));
    }
    return texts;
}

int main(int argc, char **argv) {
    if (argc != 6) {
        return 2;
    }
    llama_model *model = load_model(argv[1], argv[2]);
    if (model == nullptr) {
        return 1;
    }
    const size_t n_texts = std::strtoul(argv[4], nullptr, 10);
    llama_context_params params = llama_context_default_params();
    params.embeddings = true;
    params.pooling_type = static_cast<enum llama_pooling_type>(std::atoi(argv[3]));
    params.n_ctx = params.n_batch = params.n_ubatch = N_BATCH;
    params.n_seq_max = static_cast<uint32_t>(n_texts);
    params.kv_unified = true;
    params.n_threads = params.n_threads_batch = std::atoi(argv[5]);
    llama_context *context = llama_init_from_model(model, params);
    if (context == nullptr) {
        return 1;
    }
    const bool ranks = params.pooling_type == LLAMA_POOLING_TYPE_RANK;
    const int n_numbers = ranks ? static_cast<int>(llama_model_n_cls_out(model))
                                : llama_model_n_embd_out(model);
    llama_batch batch = llama_batch_init(N_BATCH, 0, 1);
    const auto texts = read_texts();
    std::vector<float> made;
    const auto began = std::chrono::steady_clock::now();
    for (size_t start = 0; start < texts.size();) {
        size_t end = start;
        batch.n_tokens = 0;
        while (end < texts.size() && end - start < n_texts &&
               batch.n_tokens + texts[end].size() <= N_BATCH) {
            for (size_t i = 0; i < texts[end].size(); ++i) {
                const int at = batch.n_tokens++;
                batch.token[at] = texts[end][i];
                batch.pos[at] = static_cast<llama_pos>(i);
                batch.n_seq_id[at] = 1;
                batch.seq_id[at][0] = static_cast<llama_seq_id>(end - start);
                batch.logits[at] = 1;
            }
            ++end;
        }
        llama_memory_clear(llama_get_memory(context), true);
        if (end == start || llama_decode(context, batch) != 0) {
            return 1;
        }
        for (size_t i = start; i < end; ++i) {
            const float *vector =
                llama_get_embeddings_seq(context, static_cast<llama_seq_id>(i - start));
            made.insert(made.end(), vector, vector + n_numbers);
        }
        start = end;
    }
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
    for (size_t i = 0; i < made.size(); ++i) {
        std::printf("%.9g%c", made[i], (i + 1) % n_numbers == 0 ? '\n' : ' ');
    }
    std::fprintf(stderr, "%.6f\n", took.count());
    llama_batch_free(batch);
    llama_free(context);
    llama_model_free(model);
    return 0;
}
