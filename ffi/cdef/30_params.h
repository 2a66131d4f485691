/* llama.h: parameters. The compiler checks the fields named here, and fills in the others. */

struct llama_model_params {
    ggml_backend_dev_t * devices;
    int32_t n_gpu_layers;
    enum llama_load_mode load_mode;
    bool vocab_only;
    bool check_tensors;
    bool use_extra_bufts;
    ...;
};

struct llama_context_params {
    uint32_t n_ctx;
    uint32_t n_batch;
    uint32_t n_ubatch;
    uint32_t n_seq_max;
    uint32_t n_outputs_max;
    int32_t n_threads;
    int32_t n_threads_batch;
    enum llama_pooling_type pooling_type;
    enum llama_flash_attn_type flash_attn_type;
    bool embeddings;
    bool no_perf;
    bool swa_full;
    bool kv_unified;
    ...;
};

struct llama_model_params llama_model_default_params(void);
struct llama_context_params llama_context_default_params(void);
