/* GGUF files as files: files.cpp, quantize.cpp */

typedef struct hr_gguf hr_gguf;

/* Reads everything but the tensors' data. */
int hr_gguf_open(const char *path, hr_gguf **file, hr_report *report);
void hr_gguf_close(hr_gguf *file);
/* For queries, as long as the file is open. */
const struct gguf_context *hr_gguf_pointer(const hr_gguf *file);

/* Neighbouring tensors of a file. */
typedef struct hr_gguf_part {
    const hr_gguf *file;
    int64_t first;
    int64_t count;
} hr_gguf_part;

/* What is said of splitting in a file that is written; `count` 0: it is not split. */
typedef struct hr_gguf_split {
    int32_t number; /* 0, 1, … */
    int32_t count;
    int32_t n_tensors; /* in all shards together */
} hr_gguf_split;

/* Writes the beginning of a GGUF file that has the tensors of the parts, aligned to 32 bytes; their
 * data is the caller's to append. Metadata, if wanted, is that of the first part's file. */
int hr_gguf_write_header(const char *path, const hr_gguf_part *parts, int32_t n_parts,
                         bool with_metadata, const hr_gguf_split *split, hr_report *report);

/* Writes a quantized copy. `progress` may be NULL; it is called before each tensor. */
int hr_quantize(const char *source, const char *target,
                const struct llama_model_quantize_params *params, hr_progress_fn progress,
                void *user, hr_report *report);
