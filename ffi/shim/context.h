// One llama.cpp context with everything a step needs.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <vector>

#include "ggml-cpu.h"
#include "model.h"
#include "threads.h"

namespace hr {

using Clock = std::chrono::steady_clock;
constexpr auto kCheckInterval = std::chrono::milliseconds(50);

// Interrupts by step id. A slot holds the largest id given to it, and ids that
// are less than kSlots apart have slots of their own: an interrupt for a step to
// come does not hide one for the running step, and a stale one hits nothing.
class Interrupts {
  public:
    void give(uint64_t step_id) noexcept {
        auto &slot = slots_[step_id % kSlots];
        uint64_t held = slot.load(std::memory_order_relaxed);
        while (held < step_id &&
               !slot.compare_exchange_weak(held, step_id, std::memory_order_release)) {
        }
    }
    bool given(uint64_t step_id) const noexcept {
        return slots_[step_id % kSlots].load(std::memory_order_acquire) == step_id;
    }

  private:
    static constexpr size_t kSlots = 64;
    std::array<std::atomic<uint64_t>, kSlots> slots_{};
};

// What llama.cpp's abort callback looks at, after every graph node, in the
// thread that decodes. No Python unless `check` is set, and then rarely.
struct Stop {
    const Interrupts *interrupts = nullptr;
    const std::atomic<bool> *closing = nullptr;
    uint64_t step_id = 0;
    bool limited = false;
    Clock::time_point limit;
    hr_check_fn check = nullptr;
    void *user = nullptr;
    Clock::time_point next_check;
    int64_t nodes_left = -1;  // for tests; negative: no end
    bool stopped = false;
    bool deaf = false;  // not to be stopped now

    bool asked();    // anything of the above but the nodes
    bool on_node();  // after a graph node
};

// ggml's thread pools, reached by name: in a portable build there is nothing to link to.
class ThreadPools {
  public:
    ~ThreadPools();
    ThreadPools() = default;
    ThreadPools(const ThreadPools &) = delete;
    ThreadPools &operator=(const ThreadPools &) = delete;

    // Makes a pool, or two if the numbers differ, and gives them to the context.
    void attach(llama_context *context, int32_t n_threads, int32_t n_threads_batch);
    // Gives them to a context that never computes at the same time, too.
    void share(llama_context *context) const;
    // From now on, how many threads compute is found out, up to the size of the pool.
    void adapt(int32_t n_threads);
    // Has a context compute with as many threads as pay, and learns from it.
    template <typename Compute>
    auto run(llama_context *context, int32_t n_tokens, Compute &&compute) {
        if (choice_ == nullptr) {
            return compute();
        }
        use(context, choice_->choose(n_tokens, seconds_of(Clock::now())));
        const double ran = watched() ? ran_seconds() : -1.0;
        const auto began = Clock::now();
        const auto code = compute();
        const auto ended = Clock::now();
        if (code == 0) {
            const double ran_now = ran < 0 ? -1.0 : ran_seconds() - ran;
            took_ = std::chrono::duration<double>(ended - began).count();
            choice_->learn(n_tokens, took_, ran_now, seconds_of(ended));
        }
        return code;
    }
    void abandon() noexcept { decode_ = batch_ = single_ = nullptr; }

  private:
    ggml_threadpool_t made(int32_t n_threads) const;

    decltype(&ggml_threadpool_new) make_ = nullptr;
    decltype(&ggml_threadpool_free) free_ = nullptr;
    ggml_threadpool_t decode_ = nullptr;
    ggml_threadpool_t batch_ = nullptr;

    static double seconds_of(Clock::time_point time) {
        return std::chrono::duration<double>(time.time_since_epoch()).count();
    }
    void use(llama_context *context, int32_t n_threads);
    bool watched() noexcept;

    std::unique_ptr<ThreadChoice> choice_;  // none: the numbers are fixed
    // A thread alone has a pool of its own: those of the other one then sleep.
    ggml_threadpool_t single_ = nullptr;
    llama_context *used_by_ = nullptr;  // last, with so many
    int32_t used_ = 0;
    double took_ = 0.0;  // the last step, in seconds
    int32_t unwatched_ = 0;
};

// What a context that makes vectors, and no tokens, knows of them.
struct Embedding {
    int32_t n_dimensions = 0;  // 0: it makes tokens
    int32_t n_texts = 0;       // most of one call
    int32_t n_longest = 0;     // most tokens of a text: positions beyond may have no weights
    bool per_token = false;    // one vector for each token instead of one for each text
    bool encodes = false;      // by the encoder: llama_encode instead of llama_decode
    // Computes single texts of fewer than n_brief tokens, without flash attention.
    llama_context *brief = nullptr;
    int32_t n_brief = 0;
    bool brief_reserves = true;
};

struct AdapterCore;

// An adapter that is set on a context.
struct Use {
    std::shared_ptr<AdapterCore> adapter;  // may be closed, and is freed when no context has it
    float scale;
    int32_t first_layer;
    int32_t last_layer;
};

struct ContextCore {
    std::shared_ptr<ModelCore> model;  // freed after the context
    std::vector<Use> uses;             // and these too
    bool reserves = true;              // the next decode goes through the model's adapters
    ThreadPools pools;                 // and the pools too: see the destructor
    llama_context *context = nullptr;
    llama_memory_t memory = nullptr;
    bool whole_only = false;
    int32_t n_swa = 0;  // 0: no sliding window
    int32_t n_batch = 0;
    int32_t n_outputs = 0;  // most tokens of a call with logits
    bool unified = true;  // one memory for all sequences, cells can be shared
    bool can_shift = false;
    std::vector<int32_t> lengths;  // tokens of each sequence in memory
    std::vector<char> shares;      // whether cells of a sequence may belong to others too
    bool moved = false;            // positions were shifted: the next decode rotates the keys
    Embedding embedding;
    // The batch, filled anew for every step; `sequences` owns what seq_id points into.
    std::vector<llama_pos> positions;
    std::vector<int32_t> n_seq_id;
    std::vector<llama_seq_id> sequences;
    std::vector<llama_seq_id *> seq_id;
    std::vector<int8_t> outputs;
    // What a step goes on with, see step.cpp.
    std::vector<hr_row> turn;
    std::vector<int32_t> last;
    Interrupts interrupts;
    Interrupts recalls;  // of steps that are not to go on with another computation
    Stop stop;
    std::atomic<bool> closing{false};
    std::atomic<bool> busy{false};
    std::atomic<bool> poisoned{false};
    int64_t test_nodes = -1;
    unsigned born = generation();

    ContextCore() = default;
    ContextCore(const ContextCore &) = delete;
    ContextCore &operator=(const ContextCore &) = delete;
    ~ContextCore();

    int32_t n_sequences() const noexcept { return static_cast<int32_t>(lengths.size()); }
};

std::shared_ptr<ContextCore> context_core(const hr_context *handle) noexcept;

// Rows of logits to have room for: one for each sequence, and more to score texts with, as long as
// they take little memory. llama.cpp's default would reserve them for every token of a batch.
uint32_t affordable_outputs(const llama_model *model, const llama_context_params &settings);

// Makes the llama.cpp context, its thread pools and its batch; `memory` may be NULL afterwards.
int make_context(ContextCore &core, const hr_model *model, llama_context_params settings);
// Runs `body` on a new core, guarded, and gives it to the handle if all is well.
int opening(hr_context *handle, hr_report *report,
            const std::function<int(ContextCore &)> &body);

// Runs `body(core)` as the only call on the context, or says why it cannot.
// What throws or aborts in it poisons the context: it is used no more, and leaked.
template <typename Body>
int exclusively(hr_context *handle, hr_report *report, Body &&body) {
    const auto core = context_core(handle);
    if (const int refused = usable(core); refused != HR_OK) {
        begin(report);
        return end(report, refused);
    }
    if (core->busy.exchange(true, std::memory_order_acquire)) {
        begin(report);
        return end(report, HR_BUSY);
    }
    struct Release {
        ContextCore &core;
        ~Release() { core.busy.store(false, std::memory_order_release); }
    } release{*core};
    if (core->poisoned.load()) {
        begin(report);
        report->poisoned = true;
        return end(report, HR_POISONED);
    }
    const int status = guarded(report, [&]() -> int { return body(*core); });
    if (status >= HR_EXCEPTION && status <= HR_FOREIGN_EXCEPTION) {
        core->poisoned.store(true);
        report->poisoned = true;
    }
    return status;
}

// compute.cpp: one computation, of a step, a score or vectors.
//
// Who may end the computation that follows.
void arm(ContextCore &core, uint64_t step_id, double time_limit, hr_check_fn check, void *user);
bool known_tokens(const ContextCore &core, const int32_t *tokens, int64_t n_tokens,
                  hr_report *report);
// A batch over the context's arrays, whose first `n_tokens` places are filled.
llama_batch batch_of(ContextCore &core, const int32_t *tokens, int32_t n_tokens);
// Runs it; the status of how it ended.
int compute(ContextCore &core, llama_batch batch, hr_report *report);

// memory.cpp: what memory truly holds after a decode that did not end well.
int32_t settle(ContextCore &core, const hr_row &row);
void forget(ContextCore &core, int32_t sequence);
// Forgets all but the first tokens, or all where that is impossible; returns the length kept.
int32_t truncate(ContextCore &core, int32_t sequence, int32_t length);
// Whether a sequence of that length holds all that the next token looks at. Not for whole_only.
bool window_is_whole(const ContextCore &core, int32_t sequence, int32_t length);
bool valid_sequence(const ContextCore &core, int32_t sequence, hr_report *report);

}  // namespace hr
