/* the process: runtime.cpp, logs.cpp */

/* Once in a process: log ring, abort callback, ggml backends (from `library_dir` if none is linked). */
int hr_start(const char *library_dir, hr_report *report);

/* The interpreter is going down: closing and freeing do nothing from now on, and calls that other
 * threads are in end early and do not return. Waits for that, a few seconds at most. */
void hr_quiesce(void);

typedef struct hr_log_entry {
    uint64_t serial;  /* 1, 2, 3, …; a gap means that entries were overwritten */
    uint64_t call_id; /* the guarded call it came from; 0: a thread of the library's own */
    int32_t level;    /* enum ggml_log_level */
    char text[1020];
} hr_log_entry;

/* The oldest entry kept whose serial is above `after`; false if there is none. */
bool hr_log_next(uint64_t after, hr_log_entry *entry);
/* Serial of the newest entry. */
uint64_t hr_log_serial(void);
/* Keep entries of level debug too (they are many). */
void hr_log_keep_debug(bool keep);
