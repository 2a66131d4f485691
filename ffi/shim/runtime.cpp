// What is done once in a process, before anything else.
#include "guard.h"
#include "logs.h"

#ifdef HEADRACE_COMMON
#include "log.h"
#endif

extern "C" int hr_start(const char *library_dir, hr_report *report) {
    return hr::guarded(report, [&]() -> int {
        ggml_log_set(hr::on_log, nullptr);
        llama_log_set(hr::on_log, nullptr);
        ggml_set_abort_callback(hr::on_abort);
#ifdef HEADRACE_COMMON
        // libllama-common has a log of its own, which can only go to stderr and a file, on a
        // thread that it starts. Below all its levels nothing is written; errors are thrown too.
        common_log_set_verbosity_thold(LOG_LEVEL_OUTPUT - 1);
#endif
        hr::watch_forks();
        llama_backend_init();
        if (ggml_backend_dev_count() == 0) {
            // A portable build: the kernels are modules. Only this folder is searched; ggml's
            // own search would include the current directory.
            ggml_backend_load_all_from_path(library_dir);
        }
        return ggml_backend_dev_count() == 0 ? HR_NO_DEVICES : HR_OK;
    });
}
