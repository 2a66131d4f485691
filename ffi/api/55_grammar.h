/* grammar: grammar.cpp, constraint.cpp */

/* What the output of a generation must match. Read by hr_sampler_constrain and not kept. */
typedef struct hr_constraint {
    const char *grammar; /* GBNF */
    const char *root;
    bool special_tokens;  /* tokens that no text is written for may stand for their text */
    const int32_t *named; /* those that may at any rate */
    int32_t n_named;
    const int32_t *begun; /* tokens of the prompt's end that it begins with; not if lazy */
    int32_t n_begun;
    bool lazy; /* nothing is refused until one of these appears in the output: */
    const char **words;
    int32_t n_words;
    const char **patterns; /* std::regex; found anywhere */
    int32_t n_patterns;
    const char **full_patterns; /* the whole output so far matches */
    int32_t n_full_patterns;
    const int32_t *tokens;
    int32_t n_tokens;
} hr_constraint;

/* From now on the sampler draws only what the grammar allows; what it accepted before is not
 * part of the output. */
int hr_sampler_constrain(hr_sampler *sampler, const hr_constraint *constraint, hr_report *report);
