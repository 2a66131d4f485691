/* text: text.cpp */

/* Text beyond this many bytes is refused with HR_BAD_ARGUMENT. */
int64_t hr_text_limit(void);
/* `check` may be NULL; it is asked while a long text is tokenized. */
int hr_tokenize(hr_model *model, const char *text, int64_t n_bytes, bool add_special,
                bool parse_special, int32_t *ids, int32_t capacity, int32_t *count,
                hr_check_fn check, void *user, hr_report *report);
int hr_detokenize(hr_model *model, const int32_t *ids, int32_t n_ids, bool special, char *text,
                  int32_t capacity, int32_t *count, hr_report *report);
/* The bytes of one token as it appears in a stream. */
int hr_piece(hr_model *model, int32_t id, char *bytes, int32_t capacity, int32_t *count,
             hr_report *report);
/* Those of all tokens, one after the other. `ends` has room for a number for each token: where its
 * bytes end. */
int hr_pieces(hr_model *model, char *bytes, int64_t capacity, int64_t *ends, int64_t *count,
              hr_report *report);
