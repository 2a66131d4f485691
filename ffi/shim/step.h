// The parts of a step that other calls on a context's memory share.
#pragma once

#include "context.h"

namespace hr {

// Everything that llama.cpp would answer with an assertion, or would not notice.
bool acceptable(const ContextCore &core, const hr_row *rows, int32_t n_rows,
                const int32_t *tokens, hr_report *report);
// One batch of all rows, with an output for the last token of those that sample.
llama_batch fill_batch(ContextCore &core, const hr_row *rows, int32_t n_rows,
                       const int32_t *tokens);
// The lengths after a decode that ended so.
void settle_rows(ContextCore &core, hr_row *rows, int32_t n_rows, int status,
                 int32_t native_code);

}  // namespace hr
