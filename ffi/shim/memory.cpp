// What a context's memory holds, and how to shorten it.
//
// The library's removal calls return true in cases where nothing, or too much,
// was removed, so this never trusts them: it works out beforehand whether a
// removal leaves something that can be gone on from, and looks afterwards.
#include <algorithm>

#include "context.h"

namespace hr {

namespace {

// Whether a sequence cut to `length` still holds all that the next token looks at.
bool reaches_back(const ContextCore &core, int32_t sequence, int32_t length) {
    const llama_pos first = llama_memory_seq_pos_min(core.memory, sequence);
    return first >= 0 && first <= std::max(0, length - core.n_swa);
}

// The window before `length` is whole. Full attention has n_swa 0: then all must be there.
bool can_cut(const ContextCore &core, int32_t sequence, int32_t length) {
    if (core.whole_only) {
        return false;
    }
    if (core.n_swa == 0) {
        return llama_memory_seq_pos_min(core.memory, sequence) == 0;
    }
    return reaches_back(core, sequence, length);
}

bool shift(ContextCore &core, int32_t sequence, int32_t start, int32_t stop) {
    const int32_t held = core.lengths[sequence];
    // Shifting a cell that two sequences share would move it for both.
    if (!core.can_shift || core.shares[sequence] || start < 0 || start >= stop || stop > held ||
        llama_memory_seq_pos_min(core.memory, sequence) != 0) {
        return false;
    }
    if (!llama_memory_seq_rm(core.memory, sequence, start, stop)) {
        return false;
    }
    llama_memory_seq_add(core.memory, sequence, stop, -1, start - stop);
    core.lengths[sequence] = held - (stop - start);
    core.moved = true;
    return true;
}

int32_t copy(ContextCore &core, int32_t source, int32_t target, int32_t length) {
    forget(core, target);
    const int32_t held = core.lengths[source];
    if (length <= 0 || length > held) {
        return 0;
    }
    if (length < held && !can_cut(core, source, length)) {
        return 0;
    }
    // A memory of its own is copied whole or not at all; the end is forgotten afterwards.
    const bool whole = length == held || !core.unified;
    llama_memory_seq_cp(core.memory, source, target, whole ? -1 : 0, whole ? -1 : length);
    if (whole && length < held) {
        llama_memory_seq_rm(core.memory, target, length, -1);
    }
    if (llama_memory_seq_pos_max(core.memory, target) != length - 1) {
        forget(core, target);
        return 0;
    }
    core.lengths[target] = length;
    core.shares[source] = core.shares[target] = core.unified;
    return length;
}

}  // namespace

int32_t truncate(ContextCore &core, int32_t sequence, int32_t length) {
    const int32_t held = core.lengths[sequence];
    if (length >= held) {
        return held;
    }
    if (length <= 0 || !can_cut(core, sequence, length)) {
        forget(core, sequence);
        return 0;
    }
    if (!llama_memory_seq_rm(core.memory, sequence, length, -1) ||
        llama_memory_seq_pos_max(core.memory, sequence) != length - 1) {
        forget(core, sequence);
        return 0;
    }
    core.lengths[sequence] = length;
    return length;
}

bool window_is_whole(const ContextCore &core, int32_t sequence, int32_t length) {
    // Cells are reused only once no token from `length` on can see them: the mask drops a cell
    // n_swa or more positions back, so the window begins at length - n_swa + 1.
    const llama_pos first = llama_memory_seq_pos_min(core.memory, sequence);
    const int32_t needed = core.n_swa > 0 ? std::max(0, length - core.n_swa + 1) : 0;
    return first >= 0 && first <= needed;
}

bool valid_sequence(const ContextCore &core, int32_t sequence, hr_report *report) {
    if (sequence >= 0 && sequence < core.n_sequences()) {
        return true;
    }
    say(report, "there is no sequence of that number");
    return false;
}

void forget(ContextCore &core, int32_t sequence) {
    if (core.n_sequences() == 1) {
        // Whatever was there, what comes next lies where it would in a memory that is new.
        llama_memory_clear(core.memory, /* data */ false);
    } else {
        llama_memory_seq_rm(core.memory, sequence, -1, -1);
    }
    core.lengths[sequence] = 0;
    core.shares[sequence] = false;
}

int32_t settle(ContextCore &core, const hr_row &row) {
    // A recurrent state is overwritten in place: half a step has spoilt it, whatever it claims.
    if (core.whole_only) {
        forget(core, row.sequence);
        return 0;
    }
    // Finished micro-batches stay, and the library has removed the unfinished one.
    const int32_t length = llama_memory_seq_pos_max(core.memory, row.sequence) + 1;
    const bool plausible = length >= row.position && length <= row.position + row.n_tokens + row.n_draft;
    if (length > 0 && (!plausible || !window_is_whole(core, row.sequence, length))) {
        forget(core, row.sequence);
        return 0;
    }
    core.lengths[row.sequence] = length;
    return length;
}

}  // namespace hr

extern "C" {

int hr_truncate(hr_context *handle, int32_t sequence, int32_t length, int32_t *kept,
                hr_report *report) {
    *kept = 0;
    return hr::exclusively(handle, report, [&](hr::ContextCore &core) -> int {
        if (!hr::valid_sequence(core, sequence, report)) {
            return HR_BAD_ARGUMENT;
        }
        *kept = hr::truncate(core, sequence, length);
        return HR_OK;
    });
}

int hr_shift(hr_context *handle, int32_t sequence, int32_t start, int32_t stop, int32_t *done,
             hr_report *report) {
    *done = 0;
    return hr::exclusively(handle, report, [&](hr::ContextCore &core) -> int {
        if (!hr::valid_sequence(core, sequence, report)) {
            return HR_BAD_ARGUMENT;
        }
        *done = hr::shift(core, sequence, start, stop);
        return HR_OK;
    });
}

int hr_copy(hr_context *handle, int32_t source, int32_t target, int32_t length, int32_t *copied,
            hr_report *report) {
    *copied = 0;
    return hr::exclusively(handle, report, [&](hr::ContextCore &core) -> int {
        if (!hr::valid_sequence(core, source, report) ||
            !hr::valid_sequence(core, target, report) || source == target) {
            return HR_BAD_ARGUMENT;
        }
        *copied = hr::copy(core, source, target, length);
        return HR_OK;
    });
}

}  // extern "C"
