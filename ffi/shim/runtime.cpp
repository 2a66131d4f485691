// What is done once in a process, before anything else.
#include "guard.h"
#include "logs.h"
#include "watched.h"

extern "C" int hr_start(const char *library_dir, hr_report *report) {
    return hr::guarded(report, [&]() -> int {
        ggml_log_set(hr::on_log, nullptr);
        llama_log_set(hr::on_log, nullptr);
        ggml_set_abort_callback(hr::on_abort);
        hr::route_common_log();
        hr::watch_forks();
        hr::watch_terminate();
        llama_backend_init();
        if (ggml_backend_dev_count() == 0) {
            // A portable build: the kernels are modules. Only this folder is searched; ggml's
            // own search would include the current directory.
            ggml_backend_load_all_from_path(library_dir);
        }
        return ggml_backend_dev_count() == 0 ? HR_NO_DEVICES : HR_OK;
    });
}
