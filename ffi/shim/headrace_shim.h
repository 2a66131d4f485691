/* The C interface between the Python plugin and llama.cpp.
 *
 * Everything of llama.cpp that can throw, abort or take long is reached through
 * these functions. They return an `enum hr_status` and fill an `hr_report`; no
 * C++ exception leaves them, and no ggml abort either, save those of a running
 * graph computation (see guard.h).
 *
 * Handles (`hr_model`, `hr_context`) are small and live as long as their Python
 * owner; what they refer to is freed once it is closed and the last call that
 * uses it has returned, a context before its model.
 */
#ifndef HEADRACE_SHIM_H
#define HEADRACE_SHIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ggml-backend.h"
#include "llama.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Everything a call can end with. headrace_llamacpp/_statuses.py says what each means to Python. */
enum hr_status {
    HR_OK = 0,
    /* Outcomes of a step. */
    HR_NO_ROOM = 1,        /* llama_decode 1: no room in memory, which is as before */
    HR_INTERRUPTED = 2,    /* llama_decode 2: interrupt, time limit, or a signal */
    HR_BAD_BATCH = 3,      /* llama_decode -1: the batch was refused, memory is as before */
    HR_ALLOC_FAILED = 4,   /* llama_decode -2 */
    HR_COMPUTE_FAILED = 5, /* llama_decode -3 */
    HR_UNKNOWN_CODE = 6,   /* llama_decode anything else */
    /* What a guard caught. */
    HR_EXCEPTION = 10,         /* std::exception */
    HR_OUT_OF_MEMORY = 11,     /* std::bad_alloc, or no memory for a thread's stack */
    HR_NATIVE_ABORT = 12,      /* GGML_ABORT or GGML_ASSERT */
    HR_FOREIGN_EXCEPTION = 13, /* an exception of no known type */
    /* Refused before llama.cpp was called. */
    HR_BAD_ARGUMENT = 20,
    HR_CLOSED = 21,
    HR_FORKED = 22,   /* the handle belongs to the parent process */
    HR_BUSY = 23,     /* another thread is using the context */
    HR_POISONED = 24, /* an earlier call left the context unusable */
    /* Loading and opening. */
    HR_LOAD_FAILED = 30,    /* NULL from llama_model_load_from_file: the log says why */
    HR_LOAD_CANCELLED = 31, /* the progress function said stop */
    HR_CONTEXT_FAILED = 32, /* NULL from llama_init_from_model: the log says why */
    HR_NO_MEMORY_MODULE = 33, /* the model keeps nothing between steps: an encoder */
    HR_NO_DEVICES = 34,       /* no ggml backend is loaded */
    /* Text. */
    HR_BUFFER_TOO_SMALL = 40, /* the count says how much is needed */
    HR_TOKEN_OVERFLOW = 41,   /* llama_tokenize INT32_MIN */
    /* Sampling, of one row. */
    HR_NO_LOGITS = 50,
    HR_NO_CANDIDATE = 51, /* nothing is left to choose from */
};

/* How a call ended, in the caller's memory. */
typedef struct hr_report {
    uint64_t step_id;    /* the step this belongs to, once it has ended; else 0 */
    uint64_t call_id;    /* tag of the call's log entries */
    uint64_t log_serial; /* serial of the newest log entry when the call ended */
    int32_t status;
    int32_t native_code; /* llama.cpp's own code, where there is one */
    int32_t n_rows;      /* rows of the step */
    bool poisoned;       /* the context is unusable from now on */
    char message[1000];  /* native words, possibly empty */
} hr_report;

/* ---- the process: runtime.cpp, logs.cpp -------------------------------- */

/* Once in a process: log ring, abort callback, ggml backends (from `library_dir` if none is linked). */
int hr_start(const char *library_dir, hr_report *report);

/* The interpreter is going down: closing and freeing do nothing from now on, and calls that other
 * threads are in end early and do not return. Waits for that, a few seconds at most. */
void hr_quiesce(void);

/* Calls ggml's abort inside a guarded call, as a failed GGML_ASSERT would. For tests. */
int hr_test_abort(hr_report *report);
/* Throws a C++ exception inside a guarded call: 0 std::runtime_error, 1 bad_alloc, 2 an int. For tests. */
int hr_test_throw(int kind, hr_report *report);

typedef struct hr_log_entry {
    uint64_t serial;  /* 1, 2, 3, …; a gap means that entries were overwritten */
    uint64_t call_id; /* the guarded call it came from; 0: a thread of the library's own */
    int32_t level;    /* enum ggml_log_level */
    char text[1020];
} hr_log_entry;

/* The oldest entry kept whose serial is above `after`; false if there is none. */
bool hr_log_next(uint64_t after, hr_log_entry *entry);
/* Serial of the newest entry. */
uint64_t hr_log_serial(void);
/* Keep entries of level debug too (they are many). */
void hr_log_keep_debug(bool keep);

/* ---- model: model.cpp ---------------------------------------------------- */

typedef struct hr_model hr_model;

/* Returns nonzero to stop the load. Called at most every 50 ms, and at 1.0. */
typedef int (*hr_progress_fn)(float progress, void *user);

hr_model *hr_model_new(void);
int hr_model_load(hr_model *model, const char *path, const struct llama_model_params *params,
                  hr_progress_fn progress, void *user, hr_report *report);
/* The llama.cpp model, for plain queries by the thread that owns the handle; NULL once closed. */
const struct llama_model *hr_model_pointer(const hr_model *model);
/* Ids that end a generation; returns how many there are, writes at most `capacity`. */
int32_t hr_model_eog(const hr_model *model, int32_t *ids, int32_t capacity);
void hr_model_close(hr_model *model);
void hr_model_delete(hr_model *model);

/* ---- text: text.cpp ------------------------------------------------------ */

/* Text beyond this many bytes is refused with HR_BAD_ARGUMENT. */
int64_t hr_text_limit(void);
int hr_tokenize(hr_model *model, const char *text, int64_t n_bytes, bool add_special,
                bool parse_special, int32_t *ids, int32_t capacity, int32_t *count,
                hr_report *report);
int hr_detokenize(hr_model *model, const int32_t *ids, int32_t n_ids, bool special, char *text,
                  int32_t capacity, int32_t *count, hr_report *report);
/* The bytes of one token as it appears in a stream. */
int hr_piece(hr_model *model, int32_t id, char *bytes, int32_t capacity, int32_t *count,
             hr_report *report);

/* ---- sampling: sampling.cpp ---------------------------------------------- */

typedef struct hr_sampler hr_sampler;

typedef struct hr_sampling {
    float temperature; /* 0: greedy */
    int32_t top_k;     /* 0: all */
    float top_p;
    float min_p;
    float repeat_penalty;
    int32_t repeat_last_n;
    uint32_t seed;
    bool ban_eog;
} hr_sampling;

/* `recent` is accepted, oldest first. The sampler refers to no model. */
int hr_sampler_new(const hr_model *model, const hr_sampling *settings, const int32_t *recent,
                   int32_t n_recent, hr_sampler **sampler, hr_report *report);
void hr_sampler_free(hr_sampler *sampler);
/* Samples from `logits` as a step would. For tests. */
int hr_test_sample(hr_sampler *sampler, float *logits, int32_t n_vocab, int32_t *token,
                   hr_report *report);

/* ---- context: context.cpp, step.cpp, memory.cpp -------------------------- */

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
/* A context, its thread pool and its buffers. `params` needs no callback set.
 * `whole_only`: memory forgets and copies whole sequences only (recurrent, hybrid). */
int hr_context_open(hr_context *context, hr_model *model,
                    const struct llama_context_params *params, bool whole_only,
                    hr_context_info *info, hr_report *report);
/* Interrupts a running step, then frees; with a step running, that step frees. */
void hr_context_close(hr_context *context);
void hr_context_delete(hr_context *context);

typedef struct hr_row {
    int32_t sequence;
    int32_t position; /* length of the sequence before the step */
    int32_t n_tokens; /* taken from the step's tokens, row after row */
    hr_sampler *sampler; /* NULL: no output wanted */
    /* Filled by the step: */
    int32_t length; /* tokens of the sequence in memory; 0 if its memory was lost */
    int32_t token;  /* sampled and accepted, or -1 */
    int32_t status; /* of the sampling */
} hr_row;

/* Returns nonzero to end the step. Called at most every 50 ms. */
typedef int (*hr_check_fn)(void *user);

/* Decodes the rows in one batch, then samples a token for each row with a sampler.
 *
 * `time_limit` in seconds, negative: none. `check` may be NULL. */
int hr_step(hr_context *context, uint64_t step_id, hr_row *rows, int32_t n_rows,
            const int32_t *tokens, double time_limit, hr_check_fn check, void *user,
            hr_report *report);
/* Ends that step, now or the moment it starts; any other step is not touched. From any thread. */
void hr_interrupt(hr_context *context, uint64_t step_id);
/* Ends a step of this context after `nodes` graph nodes (negative: never). For tests. */
void hr_test_interrupt_after(hr_context *context, int64_t nodes);
/* Has an assertion fail inside a call on the context. For tests. */
int hr_test_poison(hr_context *context, hr_report *report);

/* Forgets all but the first `length` tokens, or all of them where that is impossible. */
int hr_truncate(hr_context *context, int32_t sequence, int32_t length, int32_t *kept,
                hr_report *report);
/* Removes the tokens start … stop - 1 and moves what follows down. HR_OK with *done false, and
 * nothing changed, where that is impossible or other sequences share the cells. */
int hr_shift(hr_context *context, int32_t sequence, int32_t start, int32_t stop, int32_t *done,
             hr_report *report);
/* Gives `target` the first `length` tokens of `source`, or nothing where that is impossible. */
int hr_copy(hr_context *context, int32_t source, int32_t target, int32_t length,
            int32_t *copied, hr_report *report);

#ifdef __cplusplus
}
#endif

#endif
