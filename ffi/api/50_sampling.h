/* sampling: sampling.cpp */

typedef struct hr_sampler hr_sampler;

/* What an order of samplers is made of; adaptive-p selects, wherever it is named. */
enum hr_sampler_kind {
    HR_SAMPLER_PENALTIES = 0,
    HR_SAMPLER_DRY = 1,
    HR_SAMPLER_TOP_N_SIGMA = 2,
    HR_SAMPLER_TOP_K = 3,
    HR_SAMPLER_TYP_P = 4,
    HR_SAMPLER_TOP_P = 5,
    HR_SAMPLER_MIN_P = 6,
    HR_SAMPLER_XTC = 7,
    HR_SAMPLER_TEMPERATURE = 8,
    HR_SAMPLER_INFILL = 9,
    HR_SAMPLER_ADAPTIVE_P = 10,
};

/* Read by hr_sampler_new and not kept. What is off by its value is passed over. */
typedef struct hr_sampling {
    uint32_t seed;
    bool ban_eog;
    int32_t min_keep;
    float temperature; /* 0: greedy */
    float dynatemp_range;
    float dynatemp_exponent;
    int32_t top_k; /* 0: all */
    float top_p;
    float min_p;
    float typical_p;
    float top_n_sigma;
    float xtc_probability;
    float xtc_threshold;
    int32_t repeat_last_n;
    float repeat_penalty;
    float frequency_penalty;
    float presence_penalty;
    float dry_multiplier;
    float dry_base;
    int32_t dry_allowed_length;
    int32_t dry_penalty_last_n;
    const char **dry_sequence_breakers;
    int32_t n_dry_sequence_breakers;
    float adaptive_target;
    float adaptive_decay;
    int32_t mirostat; /* 1 or 2: nothing but temperature and it, whatever the order says */
    float mirostat_tau;
    float mirostat_eta;
    const int32_t *samplers; /* enum hr_sampler_kind */
    int32_t n_samplers;
    const int32_t *biased; /* tokens */
    const float *biases;   /* added to their logits */
    int32_t n_biased;
} hr_sampling;

/* `recent` is accepted, oldest first. The sampler keeps the model from being freed. */
int hr_sampler_new(const hr_model *model, const hr_sampling *settings, const int32_t *recent,
                   int32_t n_recent, hr_sampler **sampler, hr_report *report);
/* A sampler that goes on as this one would, and changes nothing of it. */
int hr_sampler_clone(const hr_sampler *sampler, hr_sampler **clone, hr_report *report);
void hr_sampler_free(hr_sampler *sampler);
