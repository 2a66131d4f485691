// One step: decode the rows in one batch, then sample for those that want a token.
//
// A draft is computed with its row. Its tokens count only as far as the sampler, which is asked
// after each of them in turn, would have chosen them too; then what follows is removed.
//
// Where every row wants more tokens, the step goes on in turns: what was sampled is computed, and
// the next token sampled. A turn is a step of its own but for the call from Python.
//
// The whole of it is one call from Python, which releases the GIL once.
#include "step.h"

#include "logprobs.h"
#include "sampler.h"

namespace hr {

namespace {

bool refuse(hr_report *report, const char *why) {
    say(report, why);
    return false;
}

}  // namespace

bool acceptable(const ContextCore &core, const hr_row *rows, int32_t n_rows,
                const int32_t *tokens, hr_report *report) {
    int64_t n_tokens = 0;
    int64_t n_outputs = 0;
    if (n_rows < 1 || n_rows > core.n_sequences()) {
        return refuse(report, "a step needs a row, and at most one for each sequence");
    }
    for (int32_t i = 0; i < n_rows; ++i) {
        const hr_row &row = rows[i];
        if (row.sequence < 0 || row.sequence >= core.n_sequences()) {
            return refuse(report, "a row names a sequence that there is not");
        }
        for (int32_t j = 0; j < i; ++j) {
            if (rows[j].sequence == row.sequence) {
                return refuse(report, "two rows name the same sequence");
            }
        }
        if (row.n_tokens < 1) {
            return refuse(report, "a row has no tokens");
        }
        if (row.position != core.lengths[row.sequence]) {
            return refuse(report, "a row does not begin where its sequence ends");
        }
        if (row.n_draft < 0 || (row.n_draft > 0 && core.whole_only)) {
            return refuse(report, "a row has a draft that memory could not forget");
        }
        if (row.n_more < 0 || (row.n_more > 0 && (row.sampler == nullptr || row.n_draft > 0 ||
                                                  row.allowed != nullptr))) {
            return refuse(report, "a row wants more tokens, and has a draft, masks or no sampler");
        }
        n_tokens += int64_t{row.n_tokens} + row.n_draft;
        n_outputs += row.sampler != nullptr ? 1 + int64_t{row.n_draft} : 0;
    }
    if (n_tokens > core.n_batch) {
        return refuse(report, "the rows have more tokens than a batch may");
    }
    if (n_outputs > core.n_outputs) {
        return refuse(report, "the rows have longer drafts than there is room for logits");
    }
    return known_tokens(core, tokens, n_tokens, report);
}

llama_batch fill_batch(ContextCore &core, const hr_row *rows, int32_t n_rows,
                       const int32_t *tokens) {
    int32_t at = 0;
    for (int32_t i = 0; i < n_rows; ++i) {
        for (int32_t j = 0; j < rows[i].n_tokens + rows[i].n_draft; ++j, ++at) {
            core.positions[at] = rows[i].position + j;
            core.sequences[at] = rows[i].sequence;
            core.outputs[at] = rows[i].sampler != nullptr && j >= rows[i].n_tokens - 1;
        }
    }
    return batch_of(core, tokens, at);
}

void settle_rows(ContextCore &core, hr_row *rows, int32_t n_rows, int status,
                 int32_t native_code) {
    // Without a native code llama.cpp was not called; after these it has put memory back.
    const bool untouched = native_code == 0 || status == HR_NO_ROOM || status == HR_BAD_BATCH;
    for (int32_t i = 0; i < n_rows; ++i) {
        hr_row &row = rows[i];
        if (status == HR_OK) {
            row.length = core.lengths[row.sequence] = row.position + row.n_tokens + row.n_draft;
        } else {
            row.length = untouched ? row.position : settle(core, row);
            row.length = truncate(core, row.sequence, row.position + row.n_tokens);
        }
    }
}

namespace {

Mask mask_at(const hr_row &row, int32_t place, int32_t n_vocab) {
    const size_t n_words = (static_cast<size_t>(n_vocab) + 31) / 32;
    return row.allowed == nullptr ? Mask() : Mask(row.allowed + place * n_words);
}

// Samples after the row's last token, the first of whose outputs is `at`, and along its draft.
int sample_row(ContextCore &core, hr_row &row, int32_t at, const int32_t *draft) {
    const int32_t n_vocab = core.model->n_vocab;
    for (int32_t i = 0; i <= row.n_draft; ++i) {
        float *logits = llama_get_logits_ith(core.context, at + i);
        if (logits == nullptr) {
            return HR_NO_LOGITS;
        }
        int32_t token = -1;
        const int status = sample(*row.sampler, logits, n_vocab, mask_at(row, i, n_vocab), &token);
        if (status != HR_OK) {
            // What was sampled stands. The next step comes to this place again, and reports it.
            return i == 0 ? status : HR_OK;
        }
        if (row.n_top >= 0) {
            row.n_logprobs += write_logprobs(logits, n_vocab, token, row.n_top,
                                             row.logprobs + row.n_logprobs);
        }
        row.sampled[row.n_sampled++] = token;
        if (i == row.n_draft || token != draft[i]) {
            break;
        }
    }
    return HR_OK;
}

void sample_rows(ContextCore &core, hr_row *rows, int32_t n_rows, const int32_t *tokens,
                 hr_report *report) {
    int32_t at = 0;
    for (int32_t i = 0; i < n_rows; ++i) {
        hr_row &row = rows[i];
        at += row.n_tokens;
        if (row.sampler != nullptr) {
            // A failure here is this row's alone: memory is whole.
            hr_report detail;
            const auto began = Clock::now();
            row.status = guarded(
                &detail, [&]() -> int { return sample_row(core, row, at - 1, tokens + at); });
            row.sample_seconds = std::chrono::duration<double>(Clock::now() - began).count();
            if (row.status >= HR_EXCEPTION && row.status <= HR_FOREIGN_EXCEPTION) {
                abandon(*row.sampler);
                say(report, detail.message);
            }
        }
        at += row.n_draft;
        if (row.n_draft > 0) {
            // Of a row that failed nothing is accepted, whatever it had sampled by then.
            const bool sampled = row.status == HR_OK && row.n_sampled > 0;
            const int32_t drafted = sampled ? row.n_sampled - 1 : 0;
            row.length =
                truncate(core, row.sequence, row.position + row.n_tokens + drafted);
        }
    }
}

// Decodes and samples once, for rows in which nothing was filled in.
int take_turn(ContextCore &core, hr_row *rows, int32_t n_rows, const int32_t *tokens,
              hr_report *report) {
    const int outcome = compute(core, fill_batch(core, rows, n_rows, tokens), report);
    settle_rows(core, rows, n_rows, outcome, report->native_code);
    if (outcome == HR_OK) {
        sample_rows(core, rows, n_rows, tokens, report);
    }
    return outcome;
}

// Whether a row may be gone on with.
bool wants_more(const ContextCore &core, const hr_row &row) {
    return row.status == HR_OK && row.n_sampled > 0 && row.n_sampled <= row.n_more &&
           !llama_vocab_is_eog(llama_model_get_vocab(core.model->model),
                               row.sampled[row.n_sampled - 1]);
}

// The row that computes what this one has sampled last.
hr_row next_turn(const hr_row &row) {
    hr_row turn = row;
    turn.position = row.length;
    turn.n_tokens = 1;
    turn.sampled = row.sampled + row.n_sampled;
    turn.logprobs = row.n_top >= 0 ? row.logprobs + row.n_logprobs : nullptr;
    turn.length = 0;
    turn.n_sampled = turn.n_logprobs = 0;
    turn.sample_seconds = 0.0;
    return turn;
}

// What a turn has done becomes its row's. Where it has sampled nothing it is undone, so that the
// row's last token is not in memory; the step that comes to this place again reports what failed.
void add_turn(ContextCore &core, hr_row &row, const hr_row &turn) {
    row.length = turn.length;
    if (turn.n_sampled == 0 && turn.length > turn.position) {
        row.length = truncate(core, row.sequence, turn.position);
    }
    row.n_sampled += turn.n_sampled;
    row.n_logprobs += turn.n_logprobs;
    row.sample_seconds += turn.sample_seconds;
}

// Goes on with rows that have taken their first turn.
int go_on(ContextCore &core, uint64_t step_id, hr_row *rows, int32_t n_rows, double span,
          Clock::time_point began, hr_report *report) {
    const auto most = std::chrono::duration<double>(span);
    auto before = began;
    for (;;) {
        const auto now = Clock::now();
        if (now + (now - before) > began + most || core.recalls.given(step_id)) {
            return HR_OK;
        }
        before = now;
        for (int32_t i = 0; i < n_rows; ++i) {
            if (!wants_more(core, rows[i])) {
                return HR_OK;
            }
        }
        for (int32_t i = 0; i < n_rows; ++i) {
            core.turn[i] = next_turn(rows[i]);
            core.last[i] = rows[i].sampled[rows[i].n_sampled - 1];
        }
        const int outcome = take_turn(core, core.turn.data(), n_rows, core.last.data(), report);
        bool whole = outcome == HR_OK;
        for (int32_t i = 0; i < n_rows; ++i) {
            whole = whole && core.turn[i].n_sampled > 0;
            add_turn(core, rows[i], core.turn[i]);
        }
        if (outcome == HR_INTERRUPTED) {
            return outcome;
        }
        if (!whole) {
            // What came before stands. What has failed will fail again, in a step of its own.
            report->native_code = 0;
            return HR_OK;
        }
    }
}

}  // namespace

}  // namespace hr

extern "C" int hr_step(hr_context *handle, uint64_t step_id, hr_row *rows, int32_t n_rows,
                       const int32_t *tokens, double time_limit, double span,
                       hr_check_fn check, void *user, hr_report *report) {
    bool ran = false;
    const int status = hr::exclusively(handle, report, [&](hr::ContextCore &core) -> int {
        if (!hr::acceptable(core, rows, n_rows, tokens, report)) {
            return HR_BAD_ARGUMENT;
        }
        for (int32_t i = 0; i < n_rows; ++i) {
            rows[i].length = 0;  // what a poisoned context holds
            rows[i].n_sampled = 0;
            rows[i].n_logprobs = 0;
            rows[i].status = HR_OK;
            rows[i].sample_seconds = 0.0;
        }
        ran = true;
        const auto began = hr::Clock::now();
        hr::arm(core, step_id, time_limit, check, user);
        const int outcome = hr::take_turn(core, rows, n_rows, tokens, report);
        if (outcome != HR_OK || span <= 0) {
            return outcome;
        }
        return hr::go_on(core, step_id, rows, n_rows, span, began, report);
    });
    if (ran) {
        report->n_rows = n_rows;
        report->step_id = step_id;
    }
    return status;
}
