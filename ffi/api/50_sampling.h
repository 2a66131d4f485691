/* sampling: sampling.cpp */

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
