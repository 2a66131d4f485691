/* The C interface between the Python plugin and llama.cpp.
 *
 * Everything of llama.cpp that can throw, abort or take long is reached through
 * these functions. They return an `enum hr_status` and fill an `hr_report`; no
 * C++ exception leaves them, and no ggml abort either, save those of a running
 * graph computation (see guard.h).
 *
 * Handles (`hr_model`, `hr_context`) are small and live as long as their Python
 * owner; what they refer to is freed once it is closed and the last call that
 * uses it has returned, a context before its model.
 *
 * The declarations are in ffi/api, in files that the compiler and cffi both read:
 * plain C, no preprocessor.
 */
#ifndef HEADRACE_SHIM_H
#define HEADRACE_SHIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ggml-backend.h"
#include "llama.h"

#ifdef __cplusplus
extern "C" {
#endif

#include "../api/10_report.h"
#include "../api/20_process.h"
#include "../api/30_model.h"
#include "../api/40_text.h"
#include "../api/50_sampling.h"
#include "../api/60_context.h"
#include "../api/64_adapters.h"
#include "../api/66_state.h"
#include "../api/68_score.h"
#include "../api/70_embedding.h"
#include "../api/75_machine.h"
#include "../api/77_rpc.h"
#include "../api/80_files.h"
#include "../api/75_chat.h"
#include "../api/90_testing.h"

#ifdef __cplusplus
}
#endif

#endif
