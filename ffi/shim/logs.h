// The bounded ring that llama.cpp's log goes into; see logs.cpp.
#pragma once

#include <cstdint>

#include "ggml.h"

namespace hr {

// For llama_log_set and ggml_log_set.
void on_log(enum ggml_log_level level, const char *text, void *user);

uint64_t log_serial() noexcept;

// In a forked child the lock may have been held by a thread that is not there.
void reset_log_lock() noexcept;

}  // namespace hr
