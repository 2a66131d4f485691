// Threads with large stacks.
//
// What recurses with its input overflows an ordinary stack, which no handler can
// turn into an error. A stack made for the call is address space, given memory
// only as far as it is used.
#include "stack.h"

#if !defined(_WIN32)
#include <pthread.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
#endif

#include <chrono>
#include <condition_variable>
#include <mutex>

#include "guard.h"

namespace hr {

#if defined(_WIN32)

// The default stack is what there is; untested.
int with_stack(size_t, const std::function<void()> &body, const Tick &) {
    body();
    return HR_OK;
}

#else

#if !defined(MAP_NORESERVE)
#define MAP_NORESERVE 0
#endif

namespace {

constexpr auto kTickInterval = std::chrono::milliseconds(20);

// What the thread is to do, and whether it has.
struct Job {
    const std::function<void()> &body;
    const char *stack;
    bool done = false;
    std::mutex lock;
    std::condition_variable ended;
};

void *run_job(void *given) {
    Job &job = *static_cast<Job *>(given);
    thread_state().helper = true;
    thread_state().stack = job.stack;
    job.body();
    const std::lock_guard<std::mutex> held(job.lock);
    job.done = true;
    job.ended.notify_one();
    return nullptr;
}

// The processor time of a thread; where nobody tells, the time that has passed.
class ThreadClock {
  public:
    explicit ThreadClock(pthread_t thread) noexcept {
#if defined(__linux__)
        known_ = pthread_getcpuclockid(thread, &clock_) == 0;
#else
        (void)thread;
#endif
    }
    double seconds() const noexcept {
#if defined(__linux__)
        timespec taken = {};
        if (known_ && clock_gettime(clock_, &taken) == 0) {
            return static_cast<double>(taken.tv_sec) + static_cast<double>(taken.tv_nsec) * 1e-9;
        }
#endif
        return std::chrono::duration<double>(std::chrono::steady_clock::now() - began_).count();
    }

  private:
    std::chrono::steady_clock::time_point began_ = std::chrono::steady_clock::now();
#if defined(__linux__)
    clockid_t clock_ = {};
    bool known_ = false;
#endif
};

// The job is on the frame of whoever waits, so however that is left, the thread has ended.
struct Joined {
    pthread_t thread;
    ~Joined() { pthread_join(thread, nullptr); }
};

void wait_for(Job &job, pthread_t thread, const Tick &tick) {
    const Joined joined{thread};
    if (!tick) {
        return;
    }
    const ThreadClock clock(thread);
    std::unique_lock<std::mutex> held(job.lock);
    while (!job.ended.wait_for(held, kTickInterval, [&] { return job.done; })) {
        held.unlock();
        tick(clock.seconds());
        held.lock();
    }
}

}  // namespace

int with_stack(size_t n_bytes, const std::function<void()> &body, const Tick &tick) {
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
    char *stack = static_cast<char *>(whole) + page;
    Job job{body, stack, false, {}, {}};
    pthread_attr_t attributes;
    pthread_t thread;
    pthread_attr_init(&attributes);
    int failed = pthread_attr_setstack(&attributes, stack, mapped - page);
    if (failed == 0) {
        failed = pthread_create(&thread, &attributes, run_job, &job);
    }
    if (failed == 0) {
        wait_for(job, thread, tick);
    }
    pthread_attr_destroy(&attributes);
    munmap(whole, mapped);
    return failed == 0 ? HR_OK : HR_OUT_OF_MEMORY;
}

#endif

}  // namespace hr
