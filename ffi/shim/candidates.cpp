// Finding candidates in a row of logits; see candidates.h.
#include "candidates.h"

#include <algorithm>
#include <cmath>

namespace hr {

namespace {

// Largest of a full block, in lanes that the compiler can keep in a vector register. NaN is
// never larger than anything.
float block_max(const float *logits) {
    float lanes[8];
    std::fill(lanes, lanes + 8, -INFINITY);
    for (int32_t i = 0; i < Mask::kBlock; i += 8) {
        for (int32_t lane = 0; lane < 8; ++lane) {
            lanes[lane] = logits[i + lane] > lanes[lane] ? logits[i + lane] : lanes[lane];
        }
    }
    return *std::max_element(lanes, lanes + 8);
}

// Calls `visit(id)` for what is allowed, in order of id, save in full blocks that are not `worth` it.
template <typename Worth, typename Visit>
void visit_allowed(int32_t n_vocab, Mask mask, Worth worth, Visit visit) {
    llama_token id = 0;
    for (; id + Mask::kBlock <= n_vocab; id += Mask::kBlock) {
        uint64_t bits = mask.block(id);
        if (bits == 0 || !worth(id)) {
            continue;
        }
        if (bits == Mask::kEvery) {
            for (llama_token i = id; i < id + Mask::kBlock; ++i) {
                visit(i);
            }
            continue;
        }
        for (; bits != 0; bits &= bits - 1) {
            visit(id + lowest_bit(bits));
        }
    }
    for (; id < n_vocab; ++id) {
        if (mask.has(id)) {
            visit(id);
        }
    }
}

// Does so for every logit that may be above `bar()`.
template <typename Bar, typename Visit>
void visit_above(const float *logits, int32_t n_vocab, Mask mask, Bar bar, Visit visit) {
    visit_allowed(
        n_vocab, mask, [&](llama_token first) { return block_max(logits + first) > bar(); }, visit);
}

bool more_likely(const llama_token_data &a, const llama_token_data &b) {
    return a.logit > b.logit || (a.logit == b.logit && a.id < b.id);
}

}  // namespace

llama_token largest(const float *logits, int32_t n_vocab, Mask mask) {
    llama_token best = -1;
    float best_logit = -INFINITY;
    visit_above(
        logits, n_vocab, mask, [&] { return best_logit; },
        [&](llama_token id) {
            if (logits[id] > best_logit) {
                best = id;
                best_logit = logits[id];
            }
        });
    return best;
}

void most_likely(const float *logits, int32_t n_vocab, size_t k, std::vector<llama_token_data> &out,
                 Mask mask) {
    out.clear();
    visit_above(
        logits, n_vocab, mask, [&] { return out.size() < k ? -INFINITY : out.front().logit; },
        [&](llama_token id) {
            if (out.size() < k) {
                if (logits[id] > -INFINITY) {
                    out.push_back({id, logits[id], 0.0f});
                    std::push_heap(out.begin(), out.end(), more_likely);
                }
            } else if (logits[id] > out.front().logit) {
                std::pop_heap(out.begin(), out.end(), more_likely);
                out.back() = {id, logits[id], 0.0f};
                std::push_heap(out.begin(), out.end(), more_likely);
            }
        });
    std::sort_heap(out.begin(), out.end(), more_likely);
}

void all_candidates(const float *logits, int32_t n_vocab, std::vector<llama_token_data> &out,
                    Mask mask) {
    out.clear();
    if (mask.everything()) {
        out.reserve(n_vocab);
    }
    visit_allowed(
        n_vocab, mask, [](llama_token) { return true; },
        [&](llama_token id) {
            if (logits[id] > -INFINITY) {
                out.push_back({id, logits[id], 0.0f});
            }
        });
}

}  // namespace hr
