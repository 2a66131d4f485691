/* score: score.cpp */

/* Most tokens of one `hr_score` that may have a target. */
int32_t hr_score_limit(hr_context *context);
/* Decodes a row, as a step without a sampler does, and tells how likely what follows each token
 * was: the log-probability of `targets[i]` after `tokens[i]`, with the `row->n_top` most likely
 * tokens. A target of -1 asks for nothing.
 *
 * `out` has 1 + n_top places for each target that is not -1, in order; those that stay empty,
 * where fewer tokens are possible, have an id of -1. */
int hr_score(hr_context *context, uint64_t step_id, hr_row *row, const int32_t *tokens,
             const int32_t *targets, hr_logprob *out, hr_check_fn check, void *user,
             hr_report *report);
