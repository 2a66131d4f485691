// How likely a given text is: the logits of many tokens of one row, from one decode.
//
// The logits stay here. A vocabulary of 262,144 has a megabyte of them for each
// token, of which Python gets a number or a few.
#include "logprobs.h"
#include "step.h"

namespace hr {

namespace {

bool refuse(hr_report *report, const char *why) {
    say(report, why);
    return false;
}

bool acceptable_targets(const ContextCore &core, const hr_row &row, const int32_t *targets,
                        hr_report *report) {
    int32_t wanted = 0;
    for (int32_t i = 0; i < row.n_tokens; ++i) {
        if (targets[i] < -1 || targets[i] >= core.model->n_vocab) {
            return refuse(report, "a target is not in the vocabulary");
        }
        wanted += targets[i] >= 0;
    }
    if (wanted > core.n_outputs) {
        return refuse(report, "more targets than the context has room for logits");
    }
    return row.n_top >= 0 || refuse(report, "a negative number of likely tokens");
}

int read_scores(ContextCore &core, const hr_row &row, const int32_t *targets, hr_logprob *out) {
    const int32_t n_places = 1 + row.n_top;
    for (int32_t i = 0; i < row.n_tokens; ++i) {
        if (targets[i] < 0) {
            continue;
        }
        const float *logits = llama_get_logits_ith(core.context, i);
        if (logits == nullptr) {
            return HR_NO_LOGITS;
        }
        const int32_t n_vocab = core.model->n_vocab;
        int32_t n_written = write_logprobs(logits, n_vocab, targets[i], row.n_top, out);
        for (; n_written < n_places; ++n_written) {
            out[n_written] = {-1, 0.0};
        }
        out += n_places;
        if (core.stop.asked()) {
            return HR_INTERRUPTED;
        }
    }
    return HR_OK;
}

}  // namespace

}  // namespace hr

extern "C" {

int32_t hr_score_limit(hr_context *handle) {
    const auto core = hr::context_core(handle);
    return core == nullptr ? 0 : core->n_outputs;
}

int hr_score(hr_context *handle, uint64_t step_id, hr_row *row, const int32_t *tokens,
             const int32_t *targets, hr_logprob *out, hr_check_fn check, void *user,
             hr_report *report) {
    return hr::exclusively(handle, report, [&](hr::ContextCore &core) -> int {
        row->sampler = nullptr;
        if (!hr::acceptable(core, row, 1, tokens, report) ||
            !hr::acceptable_targets(core, *row, targets, report)) {
            return HR_BAD_ARGUMENT;
        }
        row->length = 0;  // what a poisoned context holds
        hr::arm(core, step_id, /* time_limit */ -1, check, user);
        const llama_batch batch = hr::fill_batch(core, row, 1, tokens);
        for (int32_t i = 0; i < row->n_tokens; ++i) {
            core.outputs[i] = targets[i] >= 0;
        }
        const int outcome = hr::compute(core, batch, report);
        hr::settle_rows(core, row, 1, outcome, report->native_code);
        return outcome == HR_OK ? hr::read_scores(core, *row, targets, out) : outcome;
    });
}

}  // extern "C"
