/* context: context.cpp, step.cpp, memory.cpp */

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
/* From now on, steps are computed with as many of its threads as pay: see threads.h. */
int hr_adapt_threads(hr_context *context, hr_report *report);
/* Interrupts a running step, then frees; with a step running, that step frees. */
void hr_context_close(hr_context *context);
void hr_context_delete(hr_context *context);

typedef struct hr_logprob {
    int32_t token;
    double logprob; /* natural logarithm */
} hr_logprob;

typedef struct hr_row {
    int32_t sequence;
    int32_t position; /* length of the sequence before the step */
    int32_t n_tokens; /* taken from the step's tokens, row after row */
    int32_t n_draft;  /* tokens proposed to follow them, taken from there after those */
    int32_t n_more;   /* tokens wanted beyond the first, each computed from the one before; a row
                       * that has any has a sampler, and neither a draft nor masks */
    hr_sampler *sampler; /* NULL: no output wanted */
    int32_t n_top;       /* most likely tokens wanted beside the sampled one; negative: no logprobs */
    hr_logprob *logprobs; /* room for 1 + n_top of each token it may sample, its own first */
    /* What may be sampled; NULL: everything. A mask for the place after the last token, and one
     * after each token of the draft, of ceil(n_vocab / 32) words, a bit for each token, the first
     * one lowest. */
    const uint32_t *allowed;
    int32_t *sampled;     /* room for 1 + n_draft + n_more tokens */
    /* Filled by the step: */
    int32_t length; /* tokens of the sequence in memory; 0 if its memory was lost */
    int32_t n_sampled; /* tokens sampled and accepted */
    int32_t n_logprobs;
    int32_t status; /* of the sampling */
    double sample_seconds; /* that the sampling took, on a steady clock */
} hr_row;

/* Decodes the rows in one batch, then samples for each row with a sampler: a token after its last
 * one, and another after each token of its draft for as long as what was sampled is what was
 * drafted. What is left of a draft is forgotten; without a sampler all of it is.
 *
 * If every row wants more it goes on: each row's token is computed and the next one sampled, until
 * one row has all it wanted or an end of its text, the step is recalled, or another computation
 * would not be over within `span` seconds of its beginning. The last token of a row is not in
 * memory.
 *
 * `time_limit` in seconds, negative: none. `check` may be NULL. */
int hr_step(hr_context *context, uint64_t step_id, hr_row *rows, int32_t n_rows,
            const int32_t *tokens, double time_limit, double span, hr_check_fn check, void *user,
            hr_report *report);
/* Ends that step, now or the moment it starts; any other step is not touched. From any thread. */
void hr_interrupt(hr_context *context, uint64_t step_id);
/* Has that step not go on beyond the computation that runs. From any thread. */
void hr_recall(hr_context *context, uint64_t step_id);

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
