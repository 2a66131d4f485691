// Opening a context, and letting go of it.
#include "context.h"

#include <algorithm>
#include <stdexcept>

struct hr_context {
    std::shared_ptr<hr::ContextCore> core;  // through the atomic functions only
};

namespace hr {

namespace {

constexpr size_t kLogitsBytes = size_t{64} << 20;  // of one call
constexpr double kShortStep = 1e-3;  // seconds
constexpr int32_t kUnwatched = 16;   // of so many short steps, one is watched
constexpr uint32_t kPoll = 50;  // of 100: how long idle workers spin before they sleep

bool on_node(void *stop) { return static_cast<Stop *>(stop)->on_node(); }

template <typename Function>
Function cpu_function(const char *name) {
    ggml_backend_dev_t device = ggml_backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_CPU);
    if (device == nullptr) {
        return nullptr;
    }
    ggml_backend_reg_t registry = ggml_backend_dev_backend_reg(device);
    return reinterpret_cast<Function>(ggml_backend_reg_get_proc_address(registry, name));
}

void size_batch(ContextCore &core) {
    const auto n_batch = static_cast<size_t>(core.n_batch);
    core.positions.resize(n_batch);
    core.n_seq_id.assign(n_batch, 1);
    core.sequences.resize(n_batch);
    core.seq_id.resize(n_batch);
    core.outputs.resize(n_batch);
    for (size_t i = 0; i < n_batch; ++i) {
        core.seq_id[i] = &core.sequences[i];
    }
}

}  // namespace

bool Stop::asked() {
    if (stopped || interrupts->given(step_id) || closing->load(std::memory_order_relaxed) ||
        abandoned()) {
        return stopped = true;
    }
    if (limited || check != nullptr) {
        const auto time = Clock::now();
        if (limited && time >= limit) {
            return stopped = true;
        }
        if (check != nullptr && time >= next_check) {
            stopped = check(user) != 0;
            next_check = Clock::now() + kCheckInterval;
        }
    }
    return stopped;
}

bool Stop::on_node() {
    if (deaf) {
        return false;
    }
    if (nodes_left >= 0 && nodes_left-- == 0) {
        stopped = true;
    }
    return asked();
}

void ThreadPools::attach(llama_context *context, int32_t n_threads, int32_t n_threads_batch) {
    make_ = cpu_function<decltype(&ggml_threadpool_new)>("ggml_threadpool_new");
    free_ = cpu_function<decltype(&ggml_threadpool_free)>("ggml_threadpool_free");
    if (make_ == nullptr || free_ == nullptr) {
        return;  // threads are then spawned for every graph: slower, and right
    }
    decode_ = made(n_threads);
    if (n_threads_batch != n_threads) {
        batch_ = made(n_threads_batch);
    }
    share(context);
}

void ThreadPools::share(llama_context *context) const {
    if (decode_ != nullptr) {
        llama_attach_threadpool(context, decode_, batch_);
    }
}

ggml_threadpool_t ThreadPools::made(int32_t n_threads) const {
    ggml_threadpool_params params = ggml_threadpool_params_default(n_threads);
    params.poll = kPoll;
    ggml_threadpool_t pool = make_(&params);
    if (pool == nullptr) {
        throw std::bad_alloc();
    }
    return pool;
}

void ThreadPools::adapt(int32_t n_threads) {
    if (n_threads > 1 && decode_ != nullptr && choice_ == nullptr) {
        single_ = made(1);
        choice_ = std::make_unique<ThreadChoice>(n_threads);
    }
}

void ThreadPools::use(llama_context *context, int32_t n_threads) {
    if (context != used_by_ || n_threads != used_) {
        llama_set_n_threads(context, n_threads, n_threads);
        llama_attach_threadpool(context, n_threads == 1 ? single_ : decode_, nullptr);
        used_by_ = context;
        used_ = n_threads;
    }
}

// Asking for the time that a thread ran takes a microsecond: of short steps few are watched.
bool ThreadPools::watched() noexcept {
    if (took_ < kShortStep && ++unwatched_ < kUnwatched) {
        return false;
    }
    unwatched_ = 0;
    return true;
}

ThreadPools::~ThreadPools() {
    for (ggml_threadpool_t pool : {decode_, batch_, single_}) {
        if (pool != nullptr) {
            free_(pool);
        }
    }
}

ContextCore::~ContextCore() {
    // After a fork the pool's threads are not there to be joined; a poisoned context is in an
    // unknown state; at exit a daemon thread may be inside it. All of them are left alone.
    if (born != generation() || poisoned.load() || quiet()) {
        pools.abandon();
        return;
    }
    if (context != nullptr) {
        guarded(nullptr, [&]() -> int {
            llama_free(embedding.brief);
            llama_free(context);
            return HR_OK;
        });
    }
}

std::shared_ptr<ContextCore> context_core(const hr_context *handle) noexcept {
    return handle == nullptr ? nullptr : std::atomic_load(&handle->core);
}

constexpr uint32_t kDrafts = 31;  // beside one for each sequence

uint32_t affordable_outputs(const llama_model *model, const llama_context_params &settings) {
    const int32_t n_vocab = llama_vocab_n_tokens(llama_model_get_vocab(model));
    const size_t row = sizeof(float) * static_cast<size_t>(std::max(1, n_vocab));
    const auto affordable = static_cast<uint32_t>(std::min<size_t>(kLogitsBytes / row, UINT32_MAX));
    return std::max(settings.n_seq_max + kDrafts, std::min(affordable, settings.n_batch));
}

int make_context(ContextCore &core, const hr_model *model, llama_context_params settings) {
    core.model = model_core(model);
    if (const int refused = usable(core.model); refused != HR_OK) {
        return refused;
    }
    if (settings.n_outputs_max == 0 && !settings.embeddings) {
        settings.n_outputs_max = affordable_outputs(core.model->model, settings);
    }
    settings.abort_callback = on_node;
    settings.abort_callback_data = &core.stop;
    core.stop.interrupts = &core.interrupts;
    core.stop.closing = &core.closing;
    {
        const std::lock_guard<std::mutex> lock(core.model->adapters);
        core.context = llama_init_from_model(core.model->model, settings);
    }
    if (core.context == nullptr) {
        return HR_CONTEXT_FAILED;
    }
    core.memory = llama_get_memory(core.context);
    core.pools.attach(core.context, settings.n_threads, settings.n_threads_batch);
    core.n_batch = static_cast<int32_t>(llama_n_batch(core.context));
    const auto n_outputs = static_cast<int32_t>(settings.n_outputs_max);
    core.n_outputs = n_outputs > 0 ? std::min(n_outputs, core.n_batch) : core.n_batch;
    size_batch(core);
    return HR_OK;
}

int opening(hr_context *handle, hr_report *report,
            const std::function<int(ContextCore &)> &body) {
    auto core = std::shared_ptr<ContextCore>();
    const int status = guarded(report, [&]() -> int {
        core = std::make_shared<ContextCore>();
        const int outcome = body(*core);
        if (outcome == HR_OK) {
            std::atomic_store(&handle->core, core);
        }
        return outcome;
    });
    if (status >= HR_EXCEPTION && status <= HR_FOREIGN_EXCEPTION && core != nullptr) {
        core->poisoned.store(true);
    }
    return status;
}

}  // namespace hr

extern "C" {

hr_context *hr_context_new(void) { return new (std::nothrow) hr_context; }

int hr_context_open(hr_context *handle, hr_model *model,
                    const struct llama_context_params *params, bool whole_only,
                    hr_context_info *info, hr_report *report) {
    return hr::opening(handle, report, [&](hr::ContextCore &core) -> int {
        if (const int status = hr::make_context(core, model, *params); status != HR_OK) {
            return status;
        }
        if (core.memory == nullptr) {
            return HR_NO_MEMORY_MODULE;
        }
        core.whole_only = whole_only;
        core.unified = params->kv_unified;
        core.n_swa = llama_model_n_swa(core.model->model);
        core.lengths.assign(llama_n_seq_max(core.context), 0);
        core.turn.resize(core.lengths.size());
        core.last.resize(core.lengths.size());
        core.shares.assign(core.lengths.size(), false);
        // The library says yes for recurrent memories too, where it means nothing.
        core.can_shift = !whole_only && llama_memory_can_shift(core.memory);
        info->n_ctx = static_cast<int32_t>(llama_n_ctx(core.context));
        info->n_ctx_seq = static_cast<int32_t>(llama_n_ctx_seq(core.context));
        info->n_batch = core.n_batch;
        info->n_ubatch = static_cast<int32_t>(llama_n_ubatch(core.context));
        info->n_seq_max = core.n_sequences();
        info->can_shift = core.can_shift;
        return HR_OK;
    });
}

int hr_adapt_threads(hr_context *handle, hr_report *report) {
    return hr::exclusively(handle, report, [](hr::ContextCore &core) -> int {
        core.pools.adapt(llama_n_threads(core.context));
        return HR_OK;
    });
}

void hr_context_close(hr_context *handle) {
    if (handle == nullptr) {
        return;
    }
    // A running step holds the core too: it ends early and then frees it.
    const auto core = std::atomic_exchange(&handle->core, std::shared_ptr<hr::ContextCore>());
    if (core != nullptr) {
        core->closing.store(true);
    }
}

void hr_context_delete(hr_context *handle) {
    if (handle != nullptr && !hr::quiet()) {
        hr_context_close(handle);
        delete handle;
    }
}

void hr_interrupt(hr_context *handle, uint64_t step_id) {
    const auto core = hr::context_core(handle);
    if (core != nullptr) {
        core->interrupts.give(step_id);
    }
}

void hr_recall(hr_context *handle, uint64_t step_id) {
    const auto core = hr::context_core(handle);
    if (core != nullptr) {
        core->recalls.give(step_id);
    }
}

}  // extern "C"
