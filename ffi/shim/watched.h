// Running what a stranger wrote: within bounds, and for as long as nobody wants it to end.
#pragma once

#include <functional>

#include "guard.h"
#include "stack.h"

namespace hr {

// What a call may take at most.
struct Bounds {
    const char *what;  // what is over them, for the message
    size_t stack;
    double seconds;  // of processor time
    size_t bytes;    // of memory
};

// Who is asked, at most every 50 ms, whether the call is to end; `check` may be NULL.
struct Asked {
    hr_check_fn check;
    void *user;
};

// Runs `body`, which returns a status, guarded, on a thread with a stack of its own.
//
// Beside what the body returns: HR_OVER_BOUNDS, HR_INTERRUPTED if `asked` says so, or
// HR_OUT_OF_MEMORY. `*lost` then tells whether the body was left by a jump: nothing that it
// held was let go of, and nobody may use what it was changing.
int watched(hr_report *report, const Bounds &bounds, const Asked &asked, bool *lost,
            const std::function<int()> &body);

// Whether the body that runs on this thread is to end.
bool must_end() noexcept;

// Has std::terminate leave such a body instead of ending the process.
void watch_terminate() noexcept;

}  // namespace hr
