/* embedding: embedding.cpp */

typedef struct hr_embedding_info {
    int32_t n_dimensions; /* floats of one vector */
    int32_t n_texts;      /* most texts of one call */
} hr_embedding_info;

/* Opens the handle's context for vectors instead of tokens: `params` has embeddings set, and
 * n_ubatch as large as n_batch. It is interrupted, closed and deleted like any other.
 *
 * A model that keeps no memory computes texts of fewer than `n_brief` tokens that are alone in their
 * call without flash attention, in a small context beside the other; 0: none. */
int hr_embedding_open(hr_context *context, hr_model *model,
                      const struct llama_context_params *params, int32_t n_brief,
                      hr_embedding_info *info, hr_report *report);
/* Forgets what memory holds and computes the vectors of some texts in one batch.
 *
 * `tokens` has lengths[0] + … + lengths[n_texts - 1] ids. `vectors` takes n_dimensions floats for
 * each text, or for each token if there is no pooling; it is filled only if HR_OK comes back. */
int hr_embed(hr_context *context, uint64_t call_id, const int32_t *tokens, const int32_t *lengths,
             int32_t n_texts, float *vectors, hr_check_fn check, void *user, hr_report *report);
