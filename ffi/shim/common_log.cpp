// The log of libllama-common, led into the ring.
//
// That library writes its warnings to stderr, on a thread it starts, and has no
// callback for them. Where libraries call each other by name through a table
// (ELF), a function of the same name in the object that was loaded first, which is
// this extension, takes its place. Whether it does is tried once; where it does
// not, the library is told to write nothing.
#include "logs.h"

#ifdef HEADRACE_COMMON
#include "log.h"
#endif

#if defined(HEADRACE_COMMON) && defined(__ELF__)

#include <atomic>
#include <cstdarg>
#include <cstdio>

namespace {

constexpr size_t kLongest = 1024;
std::atomic<bool> reached{false};

}  // namespace

// Its return value is only ever passed to the function below.
__attribute__((visibility("default"))) common_log *common_log_main() { return nullptr; }

__attribute__((visibility("default"))) void common_log_add(common_log *, ggml_log_level level,
                                                           const char *format, ...) {
    reached.store(true);
    char text[kLongest];
    va_list values;
    va_start(values, format);
    std::vsnprintf(text, sizeof text, format, values);
    va_end(values);
    if (text[0] != '\0') {
        hr::on_log(level, text, nullptr);
    }
}

namespace hr {

void route_common_log() {
    common_log_set_verbosity_thold(LOG_LEVEL_WARN);
    common_log_default_callback(GGML_LOG_LEVEL_ERROR, "", nullptr);  // inside the library
    if (!reached.load()) {
        common_log_set_verbosity_thold(LOG_LEVEL_OUTPUT - 1);
    }
}

}  // namespace hr

#elif defined(HEADRACE_COMMON)

namespace hr {

void route_common_log() { common_log_set_verbosity_thold(LOG_LEVEL_OUTPUT - 1); }

}  // namespace hr

#else

namespace hr {

void route_common_log() {}

}  // namespace hr

#endif
