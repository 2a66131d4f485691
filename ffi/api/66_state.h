/* state: state.cpp */

/* Bytes that `hr_state_get` needs for a sequence; 0 if it cannot be written down now: it is empty,
 * or was shifted and nothing was computed since. */
int hr_state_size(hr_context *context, int32_t sequence, uint64_t *n_bytes, hr_report *report);
/* Writes the memory of a sequence into `data`, of exactly the size asked for before. */
int hr_state_get(hr_context *context, int32_t sequence, uint8_t *data, uint64_t n_bytes,
                 hr_report *report);
/* Gives a sequence that memory, instead of its own. *length is its tokens; 0, with HR_OK and the
 * sequence empty, if llama.cpp could not take it in. `data` must come from `hr_state_get`. */
int hr_state_set(hr_context *context, int32_t sequence, const uint8_t *data, uint64_t n_bytes,
                 int32_t *length, hr_report *report);
