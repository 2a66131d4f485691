/* model: model.cpp */

typedef struct hr_model hr_model;

/* Of every handle: NULL is one that was closed; deleting it does nothing. */

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
