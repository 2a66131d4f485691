// The bounded ring that llama.cpp's log goes into; see logs.cpp.
#pragma once

#include <cstdint>

#include "ggml.h"

namespace hr {

// For llama_log_set and ggml_log_set.
void on_log(enum ggml_log_level level, const char *text, void *user);

// libllama-common's own log, see common_log.cpp.
void route_common_log();

uint64_t log_serial() noexcept;

// While it lives, lines that this thread logs go to `function` too, which may throw.
class LineListener {
  public:
    using Function = void (*)(const char *line, void *user);
    LineListener(Function function, void *user) noexcept;
    ~LineListener();
    LineListener(const LineListener &) = delete;
    LineListener &operator=(const LineListener &) = delete;
};

// In a forked child the lock may have been held by a thread that is not there.
void reset_log_lock() noexcept;

}  // namespace hr
