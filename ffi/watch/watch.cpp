// The hook in libllama-common; see watch.h. Compiled into that library, because a program's own C
// library has hooks of these names too, and would be asked first.
#include "watch.h"

#define HEADRACE_UNWATCHED __attribute__((no_instrument_function))

#if defined(__ELF__)
// So that nobody else's are taken. The compiler has declared them before, as visible ones.
__asm__(".hidden __cyg_profile_func_enter");
__asm__(".hidden __cyg_profile_func_exit");
#endif

namespace {

thread_local headrace_watch *watching = nullptr;

}  // namespace

extern "C" {

__attribute__((visibility("default"))) HEADRACE_UNWATCHED void headrace_watch_thread(
    headrace_watch *watch) {
    watching = watch;
}

HEADRACE_UNWATCHED void __cyg_profile_func_enter(void *function, void *) {
    headrace_watch *watch = watching;
    if (watch == nullptr) {
        return;
    }
    const char *frame = static_cast<const char *>(__builtin_frame_address(0));
    if (frame < watch->low || watch->stop.load(std::memory_order_relaxed) != 0) {
        watch->over(watch, function, frame);
    }
}

HEADRACE_UNWATCHED void __cyg_profile_func_exit(void *, void *) {}

}  // extern "C"
