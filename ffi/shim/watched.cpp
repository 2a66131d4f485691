// Templates are programs, and answers and texts come from strangers: see watched.h.
//
// The body runs on a thread of its own, and the thread that called waits. As it waits it asks
// whether the body has taken too long or too much memory, or is to end for another reason, and
// notes that. The body comes by the note at the next function of libllama-common that begins, and
// sees there, too, whether the stack is about to end (ffi/watch/watch.h); the shim's own loops ask.
//
// It leaves by an exception from where one can pass: libllama-common has functions that may not
// throw. In one of those it goes on, until the very end of the stack, where it leaves by a jump;
// and a failed allocation in one, for which C++ would end the process, leaves by a jump too. A
// jump lets go of nothing. What is lost is memory, and whatever was being changed.
#include "watched.h"

#include <chrono>
#include <csetjmp>
#include <cstdio>
#include <cstdlib>
#include <unordered_map>

#if !defined(_WIN32)
#include <dlfcn.h>
#include <unistd.h>
#endif

#include "../watch/watch.h"

#if defined(__linux__)
#include <fcntl.h>
#include <sys/syscall.h>
// Only headrace's own build of libllama-common has it.
extern "C" __attribute__((weak)) void headrace_watch_thread(headrace_watch *watch);
#endif

namespace hr {

namespace {

enum Reason { kNone, kDeep, kLong, kLarge, kAsked, kNoMemory, kBroken };

constexpr size_t kRoomToThrow = size_t{16} << 20;  // destructors recurse too, on the way out
constexpr size_t kRoomToJump = size_t{512} << 10;
constexpr size_t kHugePage = size_t{2} << 20;
constexpr auto kAskInterval = std::chrono::milliseconds(50);

// Thrown by the hook. Not a std::exception: templates are tried out by code that ignores those.
struct Left {};

// The functions that an exception may leave: those that run and parse templates, and what loops
// call. Of the others some may not throw, and some are called by those.
constexpr const char *kThrowing[] = {"execute",   "N5jinja6parser", "mk_val",  "9push_back",
                                     "as_string", "gather_string",  "to_json", "6invoke",
                                     "6append"};

bool may_throw(void *function) {
#if defined(__linux__)
    Dl_info found = {};
    if (dladdr(function, &found) == 0 || found.dli_saddr != function) {
        return false;
    }
    for (const char *name : kThrowing) {
        if (std::strstr(found.dli_sname, name) != nullptr) {
            return true;
        }
    }
#else
    (void)function;
#endif
    return false;
}

#if defined(__linux__)

// A small file of /proc; empty if it cannot be read.
struct ProcFile {
    char text[512] = "";
    explicit ProcFile(const char *path) noexcept {
        const int file = open(path, O_RDONLY | O_CLOEXEC);
        if (file >= 0) {
            const ssize_t n = read(file, text, sizeof text - 1);
            text[n > 0 ? n : 0] = '\0';
            close(file);
        }
    }
};

// The memory of the process that is in no file.
size_t process_bytes() noexcept {
    const ProcFile file("/proc/self/statm");
    unsigned long long resident = 0;
    unsigned long long shared = 0;
    if (std::sscanf(file.text, "%*u %llu %llu", &resident, &shared) != 2 || shared > resident) {
        return 0;
    }
    return static_cast<size_t>(resident - shared) * static_cast<size_t>(sysconf(_SC_PAGESIZE));
}

// The memory that a thread has been the first to touch, at most.
size_t thread_bytes(long thread) noexcept {
    char path[64];
    std::snprintf(path, sizeof path, "/proc/self/task/%ld/stat", thread);
    const ProcFile file(path);
    const char *rest = std::strrchr(file.text, ')');
    unsigned long long faults = 0;
    if (rest == nullptr ||
        std::sscanf(rest + 1, " %*c %*d %*d %*d %*d %*d %*u %llu", &faults) != 1) {
        return 0;
    }
    const ProcFile pages("/sys/kernel/mm/transparent_hugepage/enabled");
    const bool huge = std::strstr(pages.text, "[always]") != nullptr;
    return static_cast<size_t>(faults) *
           (huge ? kHugePage : static_cast<size_t>(sysconf(_SC_PAGESIZE)));
}

long this_thread() noexcept { return syscall(SYS_gettid); }

#else

size_t process_bytes() noexcept { return 0; }

size_t thread_bytes(long) noexcept { return 0; }

long this_thread() noexcept { return 0; }

#endif

// One body that is watched. The hook knows its first part, the thread that waits the rest.
struct Watched : headrace_watch {
    const Bounds &bounds;
    const Asked &asked;
    size_t before = process_bytes();
    std::chrono::steady_clock::time_point next_ask =
        std::chrono::steady_clock::now() + kAskInterval;
    std::atomic<long> thread{0};
    const char *end = nullptr;  // of the stack, nearly
    int why = kNone;            // the body was left, for this reason
    bool jumped = false;
    std::unordered_map<void *, bool> throwing;
    std::jmp_buf out;

    Watched(const Bounds &given, const Asked &who) : bounds(given), asked(who) {}

    // On the thread that waits.
    void look(double seconds) {
        if (stop.load(std::memory_order_relaxed) == kNone) {
            stop.store(reason_to_stop(seconds), std::memory_order_relaxed);
        }
    }

    int reason_to_stop(double seconds) {
        if (abandoned() || is_asked_to()) {
            return kAsked;
        }
        if (seconds > bounds.seconds) {
            return kLong;
        }
        // What grew may be another thread's.
        const size_t now = process_bytes();
        const bool grown = now > before && now - before > bounds.bytes;
        return grown && thread_bytes(thread.load()) > bounds.bytes / 2 ? kLarge : kNone;
    }

    bool is_asked_to() {
        const auto now = std::chrono::steady_clock::now();
        if (asked.check == nullptr || now < next_ask) {
            return false;
        }
        next_ask = now + kAskInterval;
        return asked.check(asked.user) != 0;
    }

    // On the thread that is watched, from the hook.
    static void leave(headrace_watch *watch, void *function, const char *frame) {
        auto *self = static_cast<Watched *>(watch);
        const int stopped = self->stop.load(std::memory_order_relaxed);
        self->why = stopped != kNone ? stopped : kDeep;
        // Once left for its depth, the body is not to be taken up again further up.
        self->stop.store(self->why, std::memory_order_relaxed);
        const auto known = self->throwing.find(function);
        const bool throws = known != self->throwing.end()
                                ? known->second
                                : self->throwing.emplace(function, may_throw(function)).first->second;
        if (throws) {
            throw Left();
        }
        if (frame < self->end) {
            self->jump();
        }
    }

    [[noreturn]] void jump() {
        jumped = true;
        std::longjmp(out, 1);
    }
};

thread_local Watched *current = nullptr;
std::terminate_handler next_terminate = nullptr;

[[noreturn]] void on_terminate() {
    if (current != nullptr) {
        try {
            const auto error = std::current_exception();
            if (error != nullptr) {
                std::rethrow_exception(error);
            }
        } catch (const std::bad_alloc &) {
            current->why = kNoMemory;
        } catch (const Left &) {
        } catch (...) {
            current->why = kBroken;
        }
        current->jump();
    }
    if (next_terminate != nullptr) {
        next_terminate();
    }
    std::abort();
}

void watch_this_thread(Watched *watch) noexcept {
    current = watch;
#if defined(__linux__)
    if (headrace_watch_thread != nullptr) {
        headrace_watch_thread(watch);
    }
#endif
}

// The frame that a jump comes back to: nothing in it changes between the two returns.
void run(Watched &watch, hr_report *report, int *status, const std::function<int()> &body) {
    watch.thread.store(this_thread());
    watch.over = Watched::leave;
    if (const char *stack = thread_state().stack; stack != nullptr) {
        watch.low = stack + kRoomToThrow;
        watch.end = stack + kRoomToJump;
    }
    watch_this_thread(&watch);
    if (setjmp(watch.out) == 0) {
        *status = guarded(report, [&]() -> int {
            try {
                return body();
            } catch (const Left &) {
                return HR_OVER_BOUNDS;
            }
        });
    } else {
        forget_calls();
        *status = end(report, HR_OVER_BOUNDS);
    }
    watch_this_thread(nullptr);
}

int over_bounds(const Watched &watch, hr_report *report) {
    char text[sizeof report->message];
    const char *what = watch.bounds.what;
    switch (watch.why) {
        case kAsked: return end(report, HR_INTERRUPTED);
        case kNoMemory: say(report, "out of memory"); return end(report, HR_OUT_OF_MEMORY);
        case kDeep:
            std::snprintf(text, sizeof text, "%s nests too deeply, or never ends calling itself", what);
            break;
        case kLong:
            std::snprintf(text, sizeof text, "%s takes more than %.0f s", what,
                          watch.bounds.seconds);
            break;
        case kLarge:
            std::snprintf(text, sizeof text, "%s takes more than %zu MB of memory", what,
                          watch.bounds.bytes >> 20);
            break;
        default: std::snprintf(text, sizeof text, "%s broke llama.cpp's interpreter", what);
    }
    say(report, text);
    return end(report, HR_OVER_BOUNDS);
}

}  // namespace

int watched(hr_report *report, const Bounds &bounds, const Asked &asked, bool *lost,
            const std::function<int()> &body) {
    return guarded(report, [&]() -> int {
        Watched watch(bounds, asked);
        int status = HR_OK;
        const int started =
            with_stack(bounds.stack, [&] { run(watch, report, &status, body); },
                       [&](double seconds) { watch.look(seconds); });
        *lost = watch.jumped;
        if (started != HR_OK) {
            return started;
        }
        return watch.why == kNone ? status : over_bounds(watch, report);
    });
}

bool must_end() noexcept {
    if (current == nullptr || current->stop.load(std::memory_order_relaxed) == kNone) {
        return false;
    }
    current->why = current->stop.load(std::memory_order_relaxed);
    return true;
}

void watch_terminate() noexcept { next_terminate = std::set_terminate(on_terminate); }

}  // namespace hr
