// How ggml's threads wait for each other: they spin for a while, then they sleep.
//
// Included by a copy of ggml-cpu.c, after its thread pool is declared; see ggml-cpu.patch. ggml's own
// barrier spins until the last thread has come. Where other programs want the processors too, that
// one may have to wait for a processor, and may wait for the very one that spins.
//
// How long spinning pays is learnt: not at all where the awaited thread was off its processor, and
// as long as threads differ where each of them has one.
#pragma once

#if defined(__linux__) && !defined(HEADRACE_BARRIER_PORTABLE)
#include <sys/syscall.h>
#endif
#ifdef SYS_futex
#include <limits.h>
#include <linux/futex.h>
#endif

enum {
    HEADRACE_SPIN_MIN = 64,     // pauses of the processor, of 15 to 65 nanoseconds each
    HEADRACE_SPIN_MAX = 8192,
    HEADRACE_LONG_WAIT = 1000,  // microseconds: longer than threads of one graph differ by themselves
    HEADRACE_IDLE_SPINS = 8,    // for the next graph, at the level of polling that is ggml's default
};

#ifdef SYS_futex

static void headrace_sleep(struct ggml_threadpool * tp, int seen) {
    while (atomic_load_explicit(&tp->n_barrier_passed, memory_order_seq_cst) == seen) {
        syscall(SYS_futex, &tp->n_barrier_passed, FUTEX_WAIT_PRIVATE, seen, NULL, NULL, 0);
    }
}

static void headrace_wake_all(struct ggml_threadpool * tp) {
    syscall(SYS_futex, &tp->n_barrier_passed, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

static int headrace_cpu(void) { return sched_getcpu(); }

#else

// With the lock and the condition that idle threads wait for work with. Nobody is idle for long
// while a graph is computed, so those that are woken for nothing are few.
static void headrace_sleep(struct ggml_threadpool * tp, int seen) {
    ggml_mutex_lock_shared(&tp->mutex);
    while (atomic_load_explicit(&tp->n_barrier_passed, memory_order_seq_cst) == seen) {
        ggml_cond_wait(&tp->cond, &tp->mutex);
    }
    ggml_mutex_unlock_shared(&tp->mutex);
}

static void headrace_wake_all(struct ggml_threadpool * tp) {
    ggml_mutex_lock(&tp->mutex);
    ggml_cond_broadcast(&tp->cond);
    ggml_mutex_unlock(&tp->mutex);
}

static int headrace_cpu(void) { return -1; }

#endif

static void headrace_set_spin(struct ggml_threadpool * tp, int spin) {
    spin = spin < HEADRACE_SPIN_MIN ? HEADRACE_SPIN_MIN : spin;
    spin = spin > HEADRACE_SPIN_MAX ? HEADRACE_SPIN_MAX : spin;
    atomic_store_explicit(&tp->headrace_spin, spin, memory_order_relaxed);
}

static void headrace_init(struct ggml_threadpool * tp) {
    atomic_store_explicit(&tp->headrace_asleep, 0, memory_order_relaxed);
    atomic_store_explicit(&tp->headrace_last_cpu, -1, memory_order_relaxed);
    headrace_set_spin(tp, HEADRACE_SPIN_MAX);
}

// Waits until the barrier that was passed `seen` times is passed once more.
static void headrace_wait(struct ggml_threadpool * tp, int seen) {
    const int spin = atomic_load_explicit(&tp->headrace_spin, memory_order_relaxed);
    for (int i = 0; i < spin; ++i) {
        if (atomic_load_explicit(&tp->n_barrier_passed, memory_order_relaxed) != seen) {
            if (spin < HEADRACE_SPIN_MAX) {
                headrace_set_spin(tp, spin + spin / 64 + 1);
            }
            return;
        }
        ggml_thread_cpu_relax();
    }
    const int cpu = headrace_cpu();
    const int64_t began = ggml_time_us();
    // Before the counter is looked at again: whoever changes it then sees that someone sleeps.
    atomic_fetch_add_explicit(&tp->headrace_asleep, 1, memory_order_seq_cst);
    headrace_sleep(tp, seen);
    atomic_fetch_add_explicit(&tp->headrace_asleep, -1, memory_order_seq_cst);
    // The last thread was off its processor if it ran on this one, or was away for so long.
    const bool shared = cpu >= 0 && cpu == atomic_load_explicit(&tp->headrace_last_cpu, memory_order_relaxed);
    const bool futile = shared || ggml_time_us() - began >= HEADRACE_LONG_WAIT;
    headrace_set_spin(tp, futile ? spin / 2 : spin * 2);
}

// Called by the last thread, after it has changed the counter.
static void headrace_wake(struct ggml_threadpool * tp) {
    if (atomic_load_explicit(&tp->headrace_asleep, memory_order_seq_cst) > 0) {
        atomic_store_explicit(&tp->headrace_last_cpu, headrace_cpu(), memory_order_relaxed);
        headrace_wake_all(tp);
    }
}

static uint64_t headrace_idle_rounds(struct ggml_threadpool * tp) {
    const int spin = atomic_load_explicit(&tp->headrace_spin, memory_order_relaxed);
    return (uint64_t) spin * HEADRACE_IDLE_SPINS * tp->poll / 50;
}
