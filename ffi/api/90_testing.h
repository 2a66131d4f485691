/* what only tests call: testing.cpp */

/* Calls ggml's abort inside a guarded call, as a failed GGML_ASSERT would. */
int hr_test_abort(hr_report *report);

/* Throws a C++ exception inside a guarded call: 0 std::runtime_error, 1 bad_alloc, 2 an int. */
int hr_test_throw(int kind, hr_report *report);

/* Has libllama-common write a warning to its own log. */
void hr_test_common_log(const char *text);

/* Ends a step of this context after `nodes` graph nodes (negative: never). */
void hr_test_interrupt_after(hr_context *context, int64_t nodes);

/* Has an assertion fail inside a call on the context. */
int hr_test_poison(hr_context *context, hr_report *report);

/* `hr_tokenize` by llama.cpp alone, however long the text is. */
int hr_test_tokenize(hr_model *model, const char *text, int64_t n_bytes, bool add_special,
                     bool parse_special, int32_t *ids, int32_t capacity, int32_t *count,
                     hr_report *report);

/* Samples from `logits` as a step would, what a mask allows or (NULL) everything. */
int hr_test_sample(hr_sampler *sampler, float *logits, int32_t n_vocab, const uint32_t *allowed,
                   int32_t *token, hr_report *report);

/* What chooses the number of threads: `hr::ThreadChoice`, whose machine the test is. */
typedef struct hr_test_choice hr_test_choice;
hr_test_choice *hr_test_choice_new(int32_t most);
void hr_test_choice_delete(hr_test_choice *choice);
int32_t hr_test_choose(hr_test_choice *choice, int32_t n_tokens, double now);
void hr_test_learn(hr_test_choice *choice, int32_t n_tokens, double seconds, double ran,
                   double now);

/* The threads that the last step was computed with. */
int32_t hr_test_n_threads(hr_context *context);
