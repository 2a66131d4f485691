// Loading a model, and letting go of it.
#include "model.h"

#include <chrono>

struct hr_model {
    std::shared_ptr<hr::ModelCore> core;  // through the atomic functions only
};

namespace hr {

namespace {

using Clock = std::chrono::steady_clock;
constexpr auto kProgressInterval = std::chrono::milliseconds(50);

// Stands between llama.cpp, which reports every tensor, and Python, which is asked rarely.
struct Progress {
    hr_progress_fn function;
    void *user;
    Clock::time_point next = Clock::now();
    bool stopped = false;

    static bool report(float value, void *self) {
        auto *progress = static_cast<Progress *>(self);
        if (abandoned()) {
            return false;
        }
        if (progress->function == nullptr) {
            return true;
        }
        const auto now = Clock::now();
        if (now < progress->next && value < 1.0f) {
            return true;
        }
        progress->next = now + kProgressInterval;
        progress->stopped = progress->function(value, progress->user) != 0;
        return !progress->stopped;
    }
};

std::vector<llama_token> eog_tokens(const llama_vocab *vocab) {
    std::vector<llama_token> found;
    const int32_t n_vocab = llama_vocab_n_tokens(vocab);
    for (llama_token id = 0; id < n_vocab; ++id) {
        if (llama_vocab_is_eog(vocab, id)) {
            found.push_back(id);
        }
    }
    return found;
}

}  // namespace

ModelCore::~ModelCore() {
    // After a fork the memory belongs to the parent, and at exit other threads may still use it.
    if (model != nullptr && born == generation() && !quiet()) {
        guarded(nullptr, [&]() -> int {
            llama_model_free(model);
            return HR_OK;
        });
    }
}

std::shared_ptr<ModelCore> model_core(const hr_model *handle) noexcept {
    return handle == nullptr ? nullptr : std::atomic_load(&handle->core);
}

}  // namespace hr

extern "C" {

hr_model *hr_model_new(void) { return new (std::nothrow) hr_model; }

int hr_model_load(hr_model *handle, const char *path, const struct llama_model_params *params,
                  hr_progress_fn progress, void *user, hr_report *report) {
    return hr::guarded(report, [&]() -> int {
        hr::Progress state{progress, user};
        llama_model_params settings = *params;
        settings.progress_callback = hr::Progress::report;
        settings.progress_callback_user_data = &state;
        auto core = std::make_shared<hr::ModelCore>();
        core->model = llama_model_load_from_file(path, settings);
        if (core->model == nullptr) {
            return state.stopped ? HR_LOAD_CANCELLED : HR_LOAD_FAILED;
        }
        core->vocab = llama_model_get_vocab(core->model);
        core->n_vocab = llama_vocab_n_tokens(core->vocab);
        core->eog = hr::eog_tokens(core->vocab);
        std::atomic_store(&handle->core, std::move(core));
        return HR_OK;
    });
}

const struct llama_model *hr_model_pointer(const hr_model *handle) {
    const auto core = hr::model_core(handle);
    return hr::usable(core) == HR_OK ? core->model : nullptr;
}

int32_t hr_model_eog(const hr_model *handle, int32_t *ids, int32_t capacity) {
    const auto core = hr::model_core(handle);
    if (core == nullptr) {
        return 0;
    }
    const auto count = static_cast<int32_t>(core->eog.size());
    for (int32_t i = 0; i < count && i < capacity; ++i) {
        ids[i] = core->eog[i];
    }
    return count;
}

void hr_model_close(hr_model *handle) {
    if (handle != nullptr) {
        std::atomic_store(&handle->core, std::shared_ptr<hr::ModelCore>());
    }
}

void hr_model_delete(hr_model *handle) {
    if (handle != nullptr && !hr::quiet()) {
        delete handle;
    }
}

}  // extern "C"
