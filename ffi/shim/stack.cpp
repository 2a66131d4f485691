// Threads with large stacks.
//
// What recurses with its input overflows an ordinary stack, which no handler can
// turn into an error. A stack made for the call is address space, given memory
// only as far as it is used.
#include "stack.h"

#if !defined(_WIN32)
#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>
#endif

#include "guard.h"

namespace hr {

#if defined(_WIN32)

// The default stack is what there is; untested.
int with_stack(size_t, const std::function<void()> &body) {
    body();
    return HR_OK;
}

#else

#if !defined(MAP_NORESERVE)
#define MAP_NORESERVE 0
#endif

namespace {

void *run_body(void *body) {
    thread_state().helper = true;
    (*static_cast<const std::function<void()> *>(body))();
    return nullptr;
}

}  // namespace

int with_stack(size_t n_bytes, const std::function<void()> &body) {
    // A page that cannot be written lies below: what is deeper than expected ends the process
    // instead of writing into whatever is mapped there.
    const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
    const size_t mapped = (n_bytes + page - 1) / page * page + page;
    void *whole = mmap(nullptr, mapped, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (whole == MAP_FAILED) {
        return HR_OUT_OF_MEMORY;
    }
    mprotect(whole, page, PROT_NONE);
    void *stack = static_cast<char *>(whole) + page;
    pthread_attr_t attributes;
    pthread_t thread;
    pthread_attr_init(&attributes);
    int failed = pthread_attr_setstack(&attributes, stack, mapped - page);
    if (failed == 0) {
        failed = pthread_create(&thread, &attributes, run_body,
                                const_cast<std::function<void()> *>(&body));
    }
    if (failed == 0) {
        pthread_join(thread, nullptr);
    }
    pthread_attr_destroy(&attributes);
    munmap(whole, mapped);
    return failed == 0 ? HR_OK : HR_OUT_OF_MEMORY;
}

#endif

}  // namespace hr
