// The guard around every native call, and what the calls share.
//
// Most of llama.h lets C++ exceptions escape, and ggml ends the process where an
// assertion fails. Inside a guarded call both become a status with a message:
// the abort callback throws a NativeAbort, which unwinds to the guard. What was
// being touched then is in an unknown state, and its owner leaks it.
//
// Two things the guard cannot turn into a status. An abort inside a graph
// computation: other threads wait at a barrier for the one that would unwind.
// (One for want of memory is none of these: ggml allocates before it computes.)
// And an abort in a thread that is not ours. Both end the process.
#pragma once

#include <atomic>
#include <cstring>
#include <exception>
#include <new>

#if defined(__GNUC__) && !defined(_WIN32)
#include <cxxabi.h>
#endif

#include "headrace_shim.h"

namespace hr {

// Thrown by the abort callback. Not a std::exception: llama.cpp catches those and would go on.
struct NativeAbort {
    char message[sizeof(hr_report::message)];
    explicit NativeAbort(const char *text) noexcept;
};

// What the current thread is doing, for the abort callback and the log.
struct ThreadState {
    int depth = 0;           // guarded calls entered
    bool computing = false;  // inside llama_decode
    bool helper = false;     // a thread that a guarded call has started and waits for
    const char *stack = nullptr;  // of such a thread: its lowest address
    bool starved = false;    // ggml has just said that it could not allocate
    uint64_t call_id = 0;
};
ThreadState &thread_state() noexcept;

// One guarded call, outermost or nested; tags what is logged meanwhile.
//
// Once the interpreter goes down, a daemon thread that enters or leaves a call is
// kept here for good: behind the call wait an interpreter that is no more, and
// libraries whose static data is about to be destroyed.
class Call {
  public:
    Call() noexcept;
    ~Call();
    Call(const Call &) = delete;
    Call &operator=(const Call &) = delete;
};

// For a thread that left the calls it was in by a jump.
void forget_calls() noexcept;

// While llama_decode runs: an abort that comes from ggml may come from a computation.
class Computing {
  public:
    Computing() noexcept { thread_state().computing = true; }
    ~Computing() { thread_state().computing = false; }
    Computing(const Computing &) = delete;
    Computing &operator=(const Computing &) = delete;
};

void say(hr_report *report, const char *message) noexcept;
void begin(hr_report *report) noexcept;
int end(hr_report *report, int status) noexcept;

// ggml's abort callback.
void on_abort(const char *message);

// True once the interpreter is going down: what is alive then stays as it is.
bool quiet() noexcept;

// The same, and this is not the thread that takes it down: time to stop.
bool abandoned() noexcept;

// Counts forks: a handle of an earlier generation belongs to a parent process.
unsigned generation() noexcept;
void watch_forks() noexcept;

// Runs `body`, which returns a status, and turns whatever it throws into one.
template <typename Body>
int guarded(hr_report *report, Body &&body) {
    Call call;
    begin(report);
    int status = HR_FOREIGN_EXCEPTION;
    try {
        status = body();
    } catch (const NativeAbort &abort) {
        status = HR_NATIVE_ABORT;
        say(report, abort.message);
    } catch (const std::bad_alloc &) {
        status = HR_OUT_OF_MEMORY;
        say(report, "out of memory");
    } catch (const std::exception &error) {
        status = HR_EXCEPTION;
        say(report, error.what());
#if defined(__GNUC__) && !defined(_WIN32)
    } catch (abi::__forced_unwind &) {
        // The thread is being ended: a daemon thread at interpreter exit that asked for the GIL.
        // Whoever swallows this ends the process with "exception not rethrown".
        throw;
#endif
    } catch (...) {
        say(report, "an exception of unknown type");
    }
    return end(report, status);
}

}  // namespace hr
