// Finding candidates in a row of logits; see candidates.h.
#include "candidates.h"

#include <algorithm>
#include <cmath>

namespace hr {

namespace {

constexpr int32_t kBlock = 64;

// Largest of a full block, in lanes that the compiler can keep in a vector register. NaN is
// never larger than anything.
float block_max(const float *logits) {
    float lanes[8];
    std::fill(lanes, lanes + 8, -INFINITY);
    for (int32_t i = 0; i < kBlock; i += 8) {
        for (int32_t lane = 0; lane < 8; ++lane) {
            lanes[lane] = logits[i + lane] > lanes[lane] ? logits[i + lane] : lanes[lane];
        }
    }
    return *std::max_element(lanes, lanes + 8);
}

// Calls `visit(id)` for every logit that may be above `bar()`, in order of id.
template <typename Bar, typename Visit>
void visit_above(const float *logits, int32_t n_vocab, Bar bar, Visit visit) {
    int32_t id = 0;
    for (; id + kBlock <= n_vocab; id += kBlock) {
        if (block_max(logits + id) > bar()) {
            for (int32_t i = id; i < id + kBlock; ++i) {
                visit(i);
            }
        }
    }
    for (; id < n_vocab; ++id) {
        visit(id);
    }
}

bool more_likely(const llama_token_data &a, const llama_token_data &b) {
    return a.logit > b.logit || (a.logit == b.logit && a.id < b.id);
}

}  // namespace

llama_token largest(const float *logits, int32_t n_vocab) {
    llama_token best = -1;
    float best_logit = -INFINITY;
    visit_above(
        logits, n_vocab, [&] { return best_logit; },
        [&](llama_token id) {
            if (logits[id] > best_logit) {
                best = id;
                best_logit = logits[id];
            }
        });
    return best;
}

void most_likely(const float *logits, int32_t n_vocab, size_t k,
                 std::vector<llama_token_data> &out) {
    out.clear();
    visit_above(
        logits, n_vocab, [&] { return out.size() < k ? -INFINITY : out.front().logit; },
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

void all_candidates(const float *logits, int32_t n_vocab, std::vector<llama_token_data> &out) {
    out.clear();
    out.reserve(n_vocab);
    for (llama_token id = 0; id < n_vocab; ++id) {
        if (logits[id] > -INFINITY) {
            out.push_back({id, logits[id], 0.0f});
        }
    }
}

}  // namespace hr
