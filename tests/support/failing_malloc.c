/* For LD_PRELOAD: the n-th allocation that llama.cpp, ggml or the binding asks for fails.
 *
 * Those of the interpreter are left alone: which of them comes n-th is not ours to test. What the
 * C++ library allocates is counted, as the libraries' operator new is in it. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *old, size_t size);
extern void *__libc_memalign(size_t alignment, size_t size);

static int armed;
static long left;   /* allocations until the one that fails */
static long asked;  /* allocations since it was armed */

void failing_malloc_arm(long n) {
    left = n;
    asked = 0;
    armed = 1;
}

long failing_malloc_disarm(void) {
    armed = 0;
    return asked;
}

static int fails(void *caller) {
    static __thread int asking;
    Dl_info found;
    if (!armed || asking) {
        return 0;
    }
    asking = 1;
    int ours = dladdr(caller, &found) != 0 && found.dli_fname != NULL &&
               (strstr(found.dli_fname, "llama") != NULL ||
                strstr(found.dli_fname, "ggml") != NULL ||
                strstr(found.dli_fname, "libstdc++") != NULL);
    asking = 0;
    return ours && (__atomic_add_fetch(&asked, 1, __ATOMIC_RELAXED),
                    __atomic_sub_fetch(&left, 1, __ATOMIC_RELAXED) == 0);
}

void *malloc(size_t size) {
    if (fails(__builtin_return_address(0))) {
        errno = ENOMEM;
        return NULL;
    }
    return __libc_malloc(size);
}

void *calloc(size_t count, size_t size) {
    if (fails(__builtin_return_address(0))) {
        errno = ENOMEM;
        return NULL;
    }
    return __libc_calloc(count, size);
}

void *realloc(void *old, size_t size) {
    if (fails(__builtin_return_address(0))) {
        errno = ENOMEM;
        return NULL;
    }
    return __libc_realloc(old, size);
}

int posix_memalign(void **out, size_t alignment, size_t size) {
    if (fails(__builtin_return_address(0))) {
        return ENOMEM;
    }
    *out = __libc_memalign(alignment, size);
    return *out == NULL ? ENOMEM : 0;
}
