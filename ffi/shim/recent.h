// The last tokens of a sequence, as far as penalties look back.
#pragma once

#include <unordered_map>
#include <vector>

#include "guard.h"

namespace hr {

class Recent {
  public:
    explicit Recent(int32_t size = 0) : size_(static_cast<size_t>(size)) {}

    void push(llama_token token) {
        if (size_ == 0) {
            return;
        }
        ++counts_[token];
        if (ring_.size() < size_) {
            ring_.push_back(token);
            return;
        }
        const auto gone = counts_.find(ring_[oldest_]);
        if (--gone->second == 0) {
            counts_.erase(gone);
        }
        ring_[oldest_] = token;
        oldest_ = (oldest_ + 1) % size_;
    }

    // Each token that is among them, with how often.
    const std::unordered_map<llama_token, int> &counts() const noexcept { return counts_; }

  private:
    size_t size_;
    std::vector<llama_token> ring_;
    size_t oldest_ = 0;
    std::unordered_map<llama_token, int> counts_;
};

}  // namespace hr
