// Running something that recurses deeply on a thread with a stack of its own; see stack.cpp.
#pragma once

#include <cstddef>
#include <functional>

namespace hr {

// Runs `body`, which does not throw, on a thread with that much stack, and waits for it.
// HR_OK, or HR_OUT_OF_MEMORY if there is no such thread to be had.
int with_stack(size_t n_bytes, const std::function<void()> &body);

}  // namespace hr
