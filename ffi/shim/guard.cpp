// Turning what llama.cpp throws or aborts with into statuses; see guard.h.
#include "guard.h"

#include <chrono>
#include <cstdio>
#include <stdexcept>
#include <thread>

#if !defined(_WIN32)
#include <pthread.h>
#endif

#include "logs.h"

namespace hr {

namespace {

std::atomic<uint64_t> last_call_id{0};
std::atomic<bool> going_down{false};
std::atomic<int> active{0};  // threads inside an outermost call
std::atomic<std::thread::id> undertaker{};

constexpr auto kPatience = std::chrono::seconds(3);
std::atomic<unsigned> forks{0};

// Files of ggml run inside computations; those of llama.cpp itself never do.
bool is_from_ggml(const char *message) noexcept {
    return std::strstr(message, "ggml/src/") != nullptr ||
           std::strstr(message, "ggml\\src\\") != nullptr;
}

// ggml_init asserts that it has got what it asked for.
bool for_want_of_memory(const char *message) noexcept {
    return std::strstr(message, "(ctx->mem_buffer != NULL)") != nullptr;
}

[[noreturn]] void park() noexcept {
    for (;;) {
        std::this_thread::sleep_for(std::chrono::hours(1));
    }
}

}  // namespace

NativeAbort::NativeAbort(const char *text) noexcept {
    std::snprintf(message, sizeof message, "%s", text != nullptr ? text : "");
}

ThreadState &thread_state() noexcept {
    thread_local ThreadState state;
    return state;
}

Call::Call() noexcept {
    ThreadState &state = thread_state();
    if (state.depth++ == 0) {
        active.fetch_add(1);
        if (abandoned() && !state.helper) {
            active.fetch_sub(1);
            park();
        }
        state.call_id = last_call_id.fetch_add(1, std::memory_order_relaxed) + 1;
    }
}

Call::~Call() {
    ThreadState &state = thread_state();
    if (--state.depth == 0) {
        state.call_id = 0;
        active.fetch_sub(1);
        if (abandoned() && !state.helper) {
            park();
        }
    }
}

void forget_calls() noexcept {
    ThreadState &state = thread_state();
    if (state.depth > 0) {
        state.depth = 0;
        state.call_id = 0;
        active.fetch_sub(1);
    }
}

void say(hr_report *report, const char *message) noexcept {
    if (report != nullptr) {
        std::snprintf(report->message, sizeof report->message, "%s", message);
    }
}

void begin(hr_report *report) noexcept {
    if (report != nullptr) {
        report->step_id = 0;
        report->call_id = thread_state().call_id;
        report->log_serial = 0;
        report->status = HR_OK;
        report->native_code = 0;
        report->n_rows = 0;
        report->poisoned = false;
        report->message[0] = '\0';
    }
}

int end(hr_report *report, int status) noexcept {
    if (report != nullptr) {
        report->status = status;
        report->log_serial = log_serial();
    }
    return status;
}

void on_abort(const char *message) {
    ThreadState &state = thread_state();
    if (state.depth > 0 && (state.starved || for_want_of_memory(message))) {
        state.starved = false;
        throw std::bad_alloc();
    }
    if (state.depth > 0 && !(state.computing && is_from_ggml(message))) {
        throw NativeAbort(message);
    }
    // ggml ends the process when this returns; these are its last words.
    std::fprintf(stderr, "headrace: llama.cpp gave up, the process ends: %s\n", message);
}

bool quiet() noexcept { return going_down.load(); }

bool abandoned() noexcept { return quiet() && undertaker.load() != std::this_thread::get_id(); }

unsigned generation() noexcept { return forks.load(std::memory_order_relaxed); }

void watch_forks() noexcept {
#if !defined(_WIN32)
    static bool watching = false;
    if (!watching) {
        watching = true;
        pthread_atfork(nullptr, nullptr, [] {
            forks.fetch_add(1, std::memory_order_relaxed);
            active.store(0);  // the threads that were inside a call are not here
            reset_log_lock();
        });
    }
#endif
}

}  // namespace hr

extern "C" {

void hr_quiesce(void) {
    hr::undertaker.store(std::this_thread::get_id());
    hr::going_down.store(true);
    // Steps end at the next graph node, loads at the next tensor; each then stays where it is.
    const auto limit = std::chrono::steady_clock::now() + hr::kPatience;
    while (hr::active.load() > 0 && std::chrono::steady_clock::now() < limit) {
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
}

}  // extern "C"
