// The memory of one sequence as bytes, and back.
//
// llama.cpp's form has no version, no length and no checksum: a damaged one may
// ask for gigabytes or fail an assertion. The callers check what they pass, by a
// checksum of their own; what fails here all the same leaves the sequence empty.
#include "context.h"

namespace hr {

namespace {

// Positions that were moved are not rotated into the keys before the next decode, and what is
// written down before would be neither the old nor the new.
bool writable(const ContextCore &core, int32_t sequence) {
    return core.lengths[sequence] > 0 && !core.moved;
}

int32_t take_in(ContextCore &core, int32_t sequence, const uint8_t *data, uint64_t n_bytes) {
    forget(core, sequence);
    const size_t read = llama_state_seq_set_data_ext(core.context, data, n_bytes, sequence,
                                                     LLAMA_STATE_SEQ_FLAGS_NONE);
    const int32_t length = llama_memory_seq_pos_max(core.memory, sequence) + 1;
    const bool whole = core.whole_only || window_is_whole(core, sequence, length);
    if (read != n_bytes || length <= 0 || !whole) {
        forget(core, sequence);
        return 0;
    }
    core.lengths[sequence] = length;
    return length;
}

}  // namespace

}  // namespace hr

extern "C" {

int hr_state_size(hr_context *handle, int32_t sequence, uint64_t *n_bytes, hr_report *report) {
    *n_bytes = 0;
    return hr::exclusively(handle, report, [&](hr::ContextCore &core) -> int {
        if (!hr::valid_sequence(core, sequence, report)) {
            return HR_BAD_ARGUMENT;
        }
        if (hr::writable(core, sequence)) {
            *n_bytes = llama_state_seq_get_size_ext(core.context, sequence,
                                                    LLAMA_STATE_SEQ_FLAGS_NONE);
        }
        return HR_OK;
    });
}

int hr_state_get(hr_context *handle, int32_t sequence, uint8_t *data, uint64_t n_bytes,
                 hr_report *report) {
    return hr::exclusively(handle, report, [&](hr::ContextCore &core) -> int {
        if (!hr::valid_sequence(core, sequence, report) || !hr::writable(core, sequence)) {
            return HR_BAD_ARGUMENT;
        }
        const size_t written = llama_state_seq_get_data_ext(core.context, data, n_bytes, sequence,
                                                            LLAMA_STATE_SEQ_FLAGS_NONE);
        return written == n_bytes ? HR_OK : HR_STATE_FAILED;
    });
}

int hr_state_set(hr_context *handle, int32_t sequence, const uint8_t *data, uint64_t n_bytes,
                 int32_t *length, hr_report *report) {
    *length = 0;
    return hr::exclusively(handle, report, [&](hr::ContextCore &core) -> int {
        if (!hr::valid_sequence(core, sequence, report)) {
            return HR_BAD_ARGUMENT;
        }
        *length = hr::take_in(core, sequence, data, n_bytes);
        return HR_OK;
    });
}

}  // extern "C"
