// Running something that recurses deeply on a thread with a stack of its own; see stack.cpp.
#pragma once

#include <cstddef>
#include <functional>

namespace hr {

// Called by the thread that waits, some fifty times a second, with the processor time that the
// other one has taken so far.
using Tick = std::function<void(double seconds)>;

// Runs `body`, which does not throw, on a thread with that much stack, and waits for it.
// HR_OK, or HR_OUT_OF_MEMORY if there is no such thread to be had.
int with_stack(size_t n_bytes, const std::function<void()> &body, const Tick &tick = {});

}  // namespace hr
