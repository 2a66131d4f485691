// Quantizing a model file.
//
// llama.cpp reports no progress and cannot be stopped, but it logs a line before each
// tensor, in the thread that called it and while no other thread of it runs. That line
// is the progress, and an exception thrown from it is the way out.
#include <cstdio>

#include "guard.h"
#include "logs.h"

namespace {

// Not a std::exception: llama.cpp catches those and goes on to report a failure.
struct Stopped {};

struct Watch {
    hr_progress_fn progress;
    void *user;
};

void on_line(const char *line, void *self) {
    const auto *watch = static_cast<const Watch *>(self);
    int number = 0;
    int count = 0;
    if (std::sscanf(line, "[%d/%d]", &number, &count) != 2 || count <= 0) {
        return;
    }
    const float done = static_cast<float>(number - 1) / static_cast<float>(count);
    if (hr::abandoned() || (watch->progress != nullptr && watch->progress(done, watch->user) != 0)) {
        throw Stopped();
    }
}

}  // namespace

extern "C" int hr_quantize(const char *source, const char *target,
                           const struct llama_model_quantize_params *params,
                           hr_progress_fn progress, void *user, hr_report *report) {
    return hr::guarded(report, [&]() -> int {
        Watch watch{progress, user};
        const hr::LineListener listener(on_line, &watch);
        try {
            return llama_model_quantize(source, target, params) == 0 ? HR_OK : HR_QUANTIZE_FAILED;
        } catch (const Stopped &) {
            return HR_LOAD_CANCELLED;
        }
    });
}
