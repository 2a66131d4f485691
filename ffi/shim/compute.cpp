// One computation of a context: what may end it, how it is run, what its code means.
#include "context.h"

namespace hr {

namespace {

int outcome_of(int32_t code) {
    switch (code) {
        case 0: return HR_OK;
        case 1: return HR_NO_ROOM;
        case 2: return HR_INTERRUPTED;
        case -1: return HR_BAD_BATCH;
        case -2: return HR_ALLOC_FAILED;
        case -3: return HR_COMPUTE_FAILED;
        default: return HR_UNKNOWN_CODE;
    }
}

// Held while the context computes, if it may go through the model's adapters then.
std::unique_lock<std::mutex> lock_adapters(ContextCore &core) {
    std::unique_lock<std::mutex> lock(core.model->adapters, std::defer_lock);
    if (core.reserves) {
        lock.lock();
    }
    return lock;
}

}  // namespace

void arm(ContextCore &core, uint64_t step_id, double time_limit, hr_check_fn check, void *user) {
    Stop &stop = core.stop;
    stop.step_id = step_id;
    stop.stopped = false;
    stop.limited = time_limit >= 0;
    stop.check = check;
    stop.user = user;
    stop.nodes_left = core.test_nodes;
    if (stop.limited || check != nullptr) {
        const auto now = Clock::now();
        // A limit beyond a day is as good as none, and cannot overflow the clock.
        stop.limited = time_limit >= 0 && time_limit < 86400.0;
        if (stop.limited) {
            stop.limit = now + std::chrono::duration_cast<Clock::duration>(
                                   std::chrono::duration<double>(time_limit));
        }
        stop.next_check = now + kCheckInterval;
    }
}

bool known_tokens(const ContextCore &core, const int32_t *tokens, int64_t n_tokens,
                  hr_report *report) {
    for (int64_t i = 0; i < n_tokens; ++i) {
        if (tokens[i] < 0 || tokens[i] >= core.model->n_vocab) {
            say(report, "a token id is not in the vocabulary");
            return false;
        }
    }
    return true;
}

llama_batch batch_of(ContextCore &core, const int32_t *tokens, int32_t n_tokens) {
    llama_batch batch = {};
    batch.n_tokens = n_tokens;
    batch.token = const_cast<llama_token *>(tokens);  // llama.cpp only reads it
    batch.pos = core.positions.data();
    batch.n_seq_id = core.n_seq_id.data();
    batch.seq_id = core.seq_id.data();
    batch.logits = core.outputs.data();
    return batch;
}

int compute(ContextCore &core, llama_batch batch, hr_report *report) {
    // Before the first graph node there is no one to ask.
    if (core.stop.asked()) {
        return HR_INTERRUPTED;
    }
    // Keys that are rotated in part are lost, so what follows a shift is not interrupted.
    core.stop.deaf = core.moved;
    const auto lock = lock_adapters(core);
    const Computing computing;
    report->native_code = core.pools.run(core.context, batch.n_tokens, [&] {
        const int32_t code = core.embedding.encodes ? llama_encode(core.context, batch)
                                                    : llama_decode(core.context, batch);
        llama_synchronize(core.context);
        return code;
    });
    core.reserves = core.reserves && report->native_code != 0;
    core.moved = core.moved && report->native_code != 0;
    return outcome_of(report->native_code);
}

}  // namespace hr
