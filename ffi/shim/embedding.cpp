// Vectors for texts: a context of its own, whose memory begins empty with every call.
//
// llama.cpp pools within a micro-batch, so a text must lie in one: the context's n_ubatch is its
// n_batch, and no call has more tokens than that. That is also what attention that looks both
// ways asks for.
#include <algorithm>
#include <utility>

#include "context.h"

namespace hr {

namespace {

bool acceptable(const ContextCore &core, const int32_t *tokens, const int32_t *lengths,
                int32_t n_texts, hr_report *report) {
    const auto refuse = [report](const char *reason) {
        say(report, reason);
        return false;
    };
    if (core.embedding.n_dimensions == 0) {
        return refuse("the context makes tokens, no vectors");
    }
    if (n_texts < 1 || n_texts > core.embedding.n_texts) {
        return refuse("there are no texts, or more than a call may have");
    }
    int64_t n_tokens = 0;
    for (int32_t i = 0; i < n_texts; ++i) {
        if (lengths[i] < 1) {
            return refuse("a text has no tokens");
        }
        if (lengths[i] > core.embedding.n_longest) {
            return refuse("a text is longer than the model was made for");
        }
        n_tokens += lengths[i];
    }
    if (n_tokens > core.n_batch) {
        return refuse("the texts have more tokens than a batch may");
    }
    return known_tokens(core, tokens, n_tokens, report);
}

// Each text is a sequence of its own, and begins at position 0.
llama_batch fill_texts(ContextCore &core, const int32_t *tokens, const int32_t *lengths,
                       int32_t n_texts) {
    int32_t at = 0;
    for (int32_t i = 0; i < n_texts; ++i) {
        for (int32_t j = 0; j < lengths[i]; ++j, ++at) {
            core.positions[at] = j;
            core.sequences[at] = i;
            core.outputs[at] = 1;
        }
    }
    return batch_of(core, tokens, at);
}

// Texts of few tokens have too few queries for the tiles of ggml's flash attention on a CPU, and
// plain products are faster then. Not where several texts share a call: flash attention passes
// over what a text may not look at, plain products compute it.
void open_brief(ContextCore &core, llama_context_params settings, int32_t n_brief) {
    settings.flash_attn_type = LLAMA_FLASH_ATTN_TYPE_DISABLED;
    settings.n_ctx = settings.n_batch = settings.n_ubatch = static_cast<uint32_t>(n_brief);
    settings.n_seq_max = 1;
    settings.abort_callback = [](void *stop) { return static_cast<Stop *>(stop)->on_node(); };
    settings.abort_callback_data = &core.stop;
    Embedding &made = core.embedding;
    {
        const std::lock_guard<std::mutex> lock(core.model->adapters);
        made.brief = llama_init_from_model(core.model->model, settings);
    }
    if (made.brief != nullptr) {  // else all is done in the other one
        core.pools.share(made.brief);
        made.n_brief = n_brief;
    }
}

// Has the core's context be the one for a single short text, as long as it lives.
class Briefly {
  public:
    Briefly(ContextCore &core, bool wanted) : core_(core), wanted_(wanted) { swap(); }
    ~Briefly() { swap(); }
    Briefly(const Briefly &) = delete;
    Briefly &operator=(const Briefly &) = delete;

  private:
    void swap() noexcept {
        if (wanted_) {
            std::swap(core_.context, core_.embedding.brief);
            std::swap(core_.reserves, core_.embedding.brief_reserves);
        }
    }
    ContextCore &core_;
    const bool wanted_;
};

int take_vectors(ContextCore &core, int32_t n_vectors, float *vectors) {
    const Embedding &made = core.embedding;
    for (int32_t i = 0; i < n_vectors; ++i) {
        const float *vector = made.per_token ? llama_get_embeddings_ith(core.context, i)
                                             : llama_get_embeddings_seq(core.context, i);
        if (vector == nullptr) {
            return HR_NO_VECTOR;
        }
        vectors = std::copy_n(vector, made.n_dimensions, vectors);
    }
    return HR_OK;
}

}  // namespace

}  // namespace hr

extern "C" {

int hr_embedding_open(hr_context *handle, hr_model *model,
                      const struct llama_context_params *params, int32_t n_brief,
                      hr_embedding_info *info, hr_report *report) {
    return hr::opening(handle, report, [&](hr::ContextCore &core) -> int {
        if (!params->embeddings || params->n_ubatch < params->n_batch) {
            hr::say(report, "the settings are not those of a context for vectors");
            return HR_BAD_ARGUMENT;
        }
        if (const int status = hr::make_context(core, model, *params); status != HR_OK) {
            return status;
        }
        const llama_model *loaded = core.model->model;
        const auto pooling = llama_pooling_type(core.context);
        hr::Embedding &made = core.embedding;
        made.n_dimensions = pooling == LLAMA_POOLING_TYPE_RANK
                                ? static_cast<int32_t>(llama_model_n_cls_out(loaded))
                                : llama_model_n_embd_out(loaded);
        made.n_texts = static_cast<int32_t>(llama_n_seq_max(core.context));
        const int32_t n_ctx_train = llama_model_n_ctx_train(loaded);
        made.n_longest = n_ctx_train > 0 ? n_ctx_train : core.n_batch;
        made.per_token = pooling == LLAMA_POOLING_TYPE_NONE;
        made.encodes = llama_model_has_encoder(loaded) && !llama_model_has_decoder(loaded);
        core.n_batch = std::min(core.n_batch, static_cast<int32_t>(llama_n_ubatch(core.context)));
        if (core.memory == nullptr && n_brief > 0 && n_brief < core.n_batch) {
            hr::open_brief(core, *params, n_brief);
        }
        info->n_dimensions = made.n_dimensions;
        info->n_texts = made.n_texts;
        return HR_OK;
    });
}

int hr_embed(hr_context *handle, uint64_t call_id, const int32_t *tokens, const int32_t *lengths,
             int32_t n_texts, float *vectors, hr_check_fn check, void *user, hr_report *report) {
    return hr::exclusively(handle, report, [&](hr::ContextCore &core) -> int {
        if (!hr::acceptable(core, tokens, lengths, n_texts, report)) {
            return HR_BAD_ARGUMENT;
        }
        // First, not last: whatever ended the call before, nothing of it is left.
        if (core.memory != nullptr) {
            llama_memory_clear(core.memory, /* data */ false);
        }
        hr::arm(core, call_id, /* time_limit */ -1, check, user);
        const llama_batch batch = hr::fill_texts(core, tokens, lengths, n_texts);
        const hr::Briefly briefly(core, n_texts == 1 && batch.n_tokens < core.embedding.n_brief);
        const int outcome = hr::compute(core, batch, report);
        if (outcome != HR_OK) {
            return outcome;
        }
        return hr::take_vectors(core, core.embedding.per_token ? batch.n_tokens : n_texts,
                                vectors);
    });
}

}  // extern "C"
