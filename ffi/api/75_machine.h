/* memory before and after loading: estimate.cpp; devices and NUMA: machine.cpp */

/* Bytes in buffers of one type. */
typedef struct hr_buffers {
    char name[64];   /* of the buffer type, such as CPU or CPU_REPACK */
    int32_t device;  /* index of its device, as ggml counts them; -1: none */
    bool host;       /* in the memory of the machine */
    uint64_t weights;
    uint64_t cache;   /* of attention, or the state of a recurrent network */
    uint64_t compute; /* for intermediate results and outputs */
} hr_buffers;

/* What a model and a context of it would need: reads the file's header, allocates nothing of it.
 * A context length of 0 becomes the model's own, at most `default_n_ctx`; *n_ctx is what came of it.
 * Writes at most `capacity` kinds of buffers. */
int hr_estimate(const char *path, const struct llama_model_params *model_params,
                const struct llama_context_params *context_params, uint32_t default_n_ctx,
                uint32_t *n_ctx, hr_buffers *buffers, int32_t capacity, int32_t *count,
                hr_report *report);
/* What an open context and its model have. */
int hr_context_memory(hr_context *context, hr_buffers *buffers, int32_t capacity, int32_t *count,
                      hr_report *report);

/* Sets the strategy (an `enum ggml_numa_strategy`) for the whole process. To be called once. */
int hr_numa(int32_t strategy, hr_report *report);

/* Memory of a device in bytes; 0 and 0 if it does not tell. */
int hr_device_memory(int32_t device, uint64_t *free, uint64_t *total, hr_report *report);
/* The `index`-th feature that the kernels of a device have; *name is NULL after the last. */
int hr_device_feature(int32_t device, int32_t index, const char **name, const char **value,
                      hr_report *report);
