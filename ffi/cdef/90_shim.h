/* The shim: ffi/shim/headrace_shim.h, where what everything means is said. */

enum hr_status {
    HR_OK = 0,
    HR_NO_ROOM = 1,
    HR_INTERRUPTED = 2,
    HR_BAD_BATCH = 3,
    HR_ALLOC_FAILED = 4,
    HR_COMPUTE_FAILED = 5,
    HR_UNKNOWN_CODE = 6,
    HR_EXCEPTION = 10,
    HR_OUT_OF_MEMORY = 11,
    HR_NATIVE_ABORT = 12,
    HR_FOREIGN_EXCEPTION = 13,
    HR_BAD_ARGUMENT = 20,
    HR_CLOSED = 21,
    HR_FORKED = 22,
    HR_BUSY = 23,
    HR_POISONED = 24,
    HR_LOAD_FAILED = 30,
    HR_LOAD_CANCELLED = 31,
    HR_CONTEXT_FAILED = 32,
    HR_NO_MEMORY_MODULE = 33,
    HR_NO_DEVICES = 34,
    HR_BUFFER_TOO_SMALL = 40,
    HR_TOKEN_OVERFLOW = 41,
    HR_NO_LOGITS = 50,
    HR_NO_CANDIDATE = 51,
};

typedef struct hr_report {
    uint64_t step_id;
    uint64_t call_id;
    uint64_t log_serial;
    int32_t status;
    int32_t native_code;
    int32_t n_rows;
    bool poisoned;
    char message[1000];
} hr_report;

int hr_start(const char *library_dir, hr_report *report);

void hr_quiesce(void);

int hr_test_abort(hr_report *report);

int hr_test_throw(int kind, hr_report *report);

typedef struct hr_log_entry {
    uint64_t serial;
    uint64_t call_id;
    int32_t level;
    char text[1020];
} hr_log_entry;

bool hr_log_next(uint64_t after, hr_log_entry *entry);

uint64_t hr_log_serial(void);

void hr_log_keep_debug(bool keep);

typedef struct hr_model hr_model;

typedef int (*hr_progress_fn)(float progress, void *user);

hr_model *hr_model_new(void);
int hr_model_load(hr_model *model, const char *path, const struct llama_model_params *params,
                  hr_progress_fn progress, void *user, hr_report *report);

const struct llama_model *hr_model_pointer(const hr_model *model);

int32_t hr_model_eog(const hr_model *model, int32_t *ids, int32_t capacity);
void hr_model_close(hr_model *model);
void hr_model_delete(hr_model *model);

int64_t hr_text_limit(void);
int hr_tokenize(hr_model *model, const char *text, int64_t n_bytes, bool add_special,
                bool parse_special, int32_t *ids, int32_t capacity, int32_t *count,
                hr_report *report);
int hr_detokenize(hr_model *model, const int32_t *ids, int32_t n_ids, bool special, char *text,
                  int32_t capacity, int32_t *count, hr_report *report);

int hr_piece(hr_model *model, int32_t id, char *bytes, int32_t capacity, int32_t *count,
             hr_report *report);

typedef struct hr_sampler hr_sampler;

typedef struct hr_sampling {
    float temperature;
    int32_t top_k;
    float top_p;
    float min_p;
    float repeat_penalty;
    int32_t repeat_last_n;
    uint32_t seed;
    bool ban_eog;
} hr_sampling;

int hr_sampler_new(const hr_model *model, const hr_sampling *settings, const int32_t *recent,
                   int32_t n_recent, hr_sampler **sampler, hr_report *report);
void hr_sampler_free(hr_sampler *sampler);

int hr_test_sample(hr_sampler *sampler, float *logits, int32_t n_vocab, int32_t *token,
                   hr_report *report);

typedef struct hr_context hr_context;

typedef struct hr_context_info {
    int32_t n_ctx;
    int32_t n_ctx_seq;
    int32_t n_batch;
    int32_t n_ubatch;
    int32_t n_seq_max;
    bool can_shift;
} hr_context_info;

hr_context *hr_context_new(void);

int hr_context_open(hr_context *context, hr_model *model,
                    const struct llama_context_params *params, bool whole_only,
                    hr_context_info *info, hr_report *report);

void hr_context_close(hr_context *context);
void hr_context_delete(hr_context *context);

typedef struct hr_row {
    int32_t sequence;
    int32_t position;
    int32_t n_tokens;
    hr_sampler *sampler;

    int32_t length;
    int32_t token;
    int32_t status;
} hr_row;

typedef int (*hr_check_fn)(void *user);

int hr_step(hr_context *context, uint64_t step_id, hr_row *rows, int32_t n_rows,
            const int32_t *tokens, double time_limit, hr_check_fn check, void *user,
            hr_report *report);

void hr_interrupt(hr_context *context, uint64_t step_id);

void hr_test_interrupt_after(hr_context *context, int64_t nodes);

int hr_test_poison(hr_context *context, hr_report *report);

int hr_truncate(hr_context *context, int32_t sequence, int32_t length, int32_t *kept,
                hr_report *report);

int hr_shift(hr_context *context, int32_t sequence, int32_t start, int32_t stop, int32_t *done,
             hr_report *report);
int hr_copy(hr_context *context, int32_t source, int32_t target, int32_t length,
            int32_t *copied, hr_report *report);

/* Python functions that the shim calls; each stores its exception and returns a code. */
extern "Python" int headrace_progress(float progress, void *user);
extern "Python" int headrace_check(void *user);
