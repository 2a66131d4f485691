// Text to tokens; see text.cpp.
#ifndef HEADRACE_TEXT_H
#define HEADRACE_TEXT_H

#include "headrace_shim.h"

namespace hr {

// Tokens of a text as llama.cpp finds them.
int tokenize_at_once(hr_model *handle, const char *text, int64_t n_bytes, bool add_special,
                     bool parse_special, int32_t *ids, int32_t capacity, int32_t *count,
                     hr_report *report);

}  // namespace hr

#endif
