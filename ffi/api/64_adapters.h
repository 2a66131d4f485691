/* adapters: adapters.cpp, adapter_files.cpp */

/* A LoRA adapter, or the directions of a control vector. */
typedef struct hr_adapter hr_adapter;

typedef struct hr_adapter_info {
    uint64_t n_bytes;    /* of its tensors */
    int32_t n_tensors;
    int32_t rank;        /* largest of a LoRA adapter; else 0 */
    int32_t first_layer; /* of a control vector; else 0 */
    int32_t last_layer;
} hr_adapter_info;

hr_adapter *hr_adapter_new(void);
/* `model_path`: where the model came from, to see whether its output matrix is its embedding. */
int hr_adapter_load_lora(hr_adapter *adapter, hr_model *model, const char *path,
                         const char *model_path, hr_adapter_info *info, hr_report *report);
int hr_adapter_load_vector(hr_adapter *adapter, hr_model *model, const char *path,
                           hr_adapter_info *info, hr_report *report);
/* The file's scalar key-value pairs, and its invocation tokens as numbers between spaces; false
 * beyond the last one. The texts live until the adapter is closed. */
bool hr_adapter_meta(const hr_adapter *adapter, int32_t index, const char **key,
                     const char **value);
/* Frees it once no context uses it any more. */
void hr_adapter_close(hr_adapter *adapter);
void hr_adapter_delete(hr_adapter *adapter);

typedef struct hr_use {
    hr_adapter *adapter;
    float scale;
    int32_t first_layer; /* of a control vector: the layers it is added to, both included */
    int32_t last_layer;
} hr_use;

/* The steps that follow are computed with these adapters, and no others. */
int hr_use_adapters(hr_context *context, const hr_use *uses, int32_t n_uses, hr_report *report);
