// Attention as its formula says, in double precision, beside ggml's fused operation on the CPU.
//
// Prints for each case its name and the largest difference of an element. A case is a way in which
// rows see cells: what one sequence alone has, and what many have that share a memory.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <limits>
#include <random>
#include <vector>

#include "ggml-cpu.h"
#include "ggml.h"

namespace {

using Sees = std::function<bool(int stream, int row, int cell)>;

struct Case {
    const char *name;
    int rows;
    int cells;
    Sees sees;
    int streams = 1;
    int heads = 4;
    int kv_heads = 1;
    int size = 64;
    ggml_type type = GGML_TYPE_F16;
    bool sinks = false;
    float softcap = 0.0f;
    float max_bias = 0.0f;
};

// Distances stand in for positions where the case has a bias for them.
float bias_of(const Case &c, int row, int cell) {
    return c.max_bias > 0.0f ? -static_cast<float>((row * 3 + cell) % 50) : 0.0f;
}

double slope_of(const Case &c, int head) {
    if (c.max_bias <= 0.0f) {
        return 1.0;
    }
    const int power = 1 << static_cast<int>(std::floor(std::log2(c.heads)));
    return head < power ? std::pow(2.0, -c.max_bias / power * (head + 1))
                        : std::pow(2.0, -c.max_bias / 2.0 / power * (2 * (head - power) + 1));
}

class Tensors {
public:
    explicit Tensors(const Case &c) : c_(c), random_(1) {
        context_ = ggml_init({size_t{64} << 20, nullptr, false});
        q_ = made(GGML_TYPE_F32, c.rows, c.heads, queries);
        k_ = made(c.type, c.cells, c.kv_heads, keys);
        v_ = made(c.type, c.cells, c.kv_heads, values);
        mask_ = ggml_new_tensor_4d(context_, GGML_TYPE_F16, c.cells, c.rows, 1, c.streams);
        auto *to = static_cast<ggml_fp16_t *>(mask_->data);
        for (int s = 0; s < c.streams; ++s) {
            for (int r = 0; r < c.rows; ++r) {
                for (int i = 0; i < c.cells; ++i) {
                    const bool seen = c.sees(s, r, i);
                    *to++ = ggml_fp32_to_fp16(
                        seen ? bias_of(c, r, i) : -std::numeric_limits<float>::infinity());
                }
            }
        }
        if (c.sinks) {
            sinks_ = ggml_new_tensor_1d(context_, GGML_TYPE_F32, c.heads);
            for (int h = 0; h < c.heads; ++h) {
                static_cast<float *>(sinks_->data)[h] = 0.5f * h;
            }
        }
    }

    ~Tensors() { ggml_free(context_); }

    const float *compute(int threads) {
        ggml_tensor *out = ggml_flash_attn_ext(context_, q_, k_, v_, mask_, scale(), c_.max_bias,
                                               c_.softcap);
        if (sinks_ != nullptr) {
            ggml_flash_attn_ext_add_sinks(out, sinks_);
        }
        ggml_cgraph *graph = ggml_new_graph(context_);
        ggml_build_forward_expand(graph, out);
        ggml_graph_compute_with_ctx(context_, graph, threads);
        return static_cast<const float *>(out->data);
    }

    // One element row: stream, row, head.
    std::vector<double> expected(int s, int r, int h) const {
        const int kv = h / (c_.heads / c_.kv_heads);
        std::vector<double> sum(c_.size, 0.0);
        double total = 0.0;
        double most = c_.sinks ? 0.5 * h : -std::numeric_limits<double>::infinity();
        std::vector<double> scores;
        for (int i = 0; i < c_.cells; ++i) {
            double score = -std::numeric_limits<double>::infinity();
            if (c_.sees(s, r, i)) {
                score = 0.0;
                for (int d = 0; d < c_.size; ++d) {
                    score += at(queries, c_.rows, c_.heads, s, h, r, d) *
                             at(keys, c_.cells, c_.kv_heads, s, kv, i, d);
                }
                score *= 1.0 / std::sqrt(static_cast<double>(c_.size));
                if (c_.softcap > 0.0f) {
                    score = c_.softcap * std::tanh(score / c_.softcap);
                }
                score += slope_of(c_, h) * bias_of(c_, r, i);
                most = std::max(most, score);
            }
            scores.push_back(score);
        }
        for (int i = 0; i < c_.cells; ++i) {
            if (std::isinf(scores[i])) {
                continue;
            }
            const double weight = std::exp(scores[i] - most);
            total += weight;
            for (int d = 0; d < c_.size; ++d) {
                sum[d] += weight * at(values, c_.cells, c_.kv_heads, s, kv, i, d);
            }
        }
        total += c_.sinks ? std::exp(0.5 * h - most) : 0.0;
        for (double &each : sum) {
            each = total > 0.0 ? each / total : 0.0;
        }
        return sum;
    }

private:
    float scale() const { return 1.0f / std::sqrt(static_cast<float>(c_.size)); }

    double at(const std::vector<float> &of, int n, int heads, int s, int h, int i, int d) const {
        return of[((static_cast<size_t>(s) * heads + h) * n + i) * c_.size + d];
    }

    ggml_tensor *made(ggml_type type, int n, int heads, std::vector<float> &kept) {
        ggml_tensor *tensor = ggml_new_tensor_4d(context_, type, c_.size, n, heads, c_.streams);
        std::uniform_real_distribution<float> uniform(-1.0f, 1.0f);
        kept.resize(ggml_nelements(tensor));
        for (float &each : kept) {
            // What half precision can hold, so that all types have the same.
            each = ggml_fp16_to_fp32(ggml_fp32_to_fp16(uniform(random_)));
        }
        if (type == GGML_TYPE_F32) {
            std::copy(kept.begin(), kept.end(), static_cast<float *>(tensor->data));
        } else {
            ggml_quantize_chunk(type, kept.data(), tensor->data, 0, kept.size() / c_.size, c_.size,
                                nullptr);
        }
        return tensor;
    }

    const Case &c_;
    std::mt19937 random_;
    ggml_context *context_;
    ggml_tensor *q_, *k_, *v_, *mask_, *sinks_ = nullptr;
    std::vector<float> queries, keys, values;
};

double largest_difference(const Case &c, int threads) {
    Tensors tensors(c);
    const float *got = tensors.compute(threads);
    double largest = 0.0;
    for (int s = 0; s < c.streams; ++s) {
        for (int r = 0; r < c.rows; ++r) {
            for (int h = 0; h < c.heads; ++h) {
                for (double expected : tensors.expected(s, r, h)) {
                    const double difference = std::abs(*got++ - expected);
                    largest = std::isnan(difference) ? INFINITY : std::max(largest, difference);
                }
            }
        }
    }
    return largest;
}

}  // namespace

int main() {
    const Sees runs = [](int, int r, int i) { return i / 32 == r % 24; };
    const Sees mixed = [](int, int r, int i) {
        return r < 21 ? i % 23 == r : i >= 300 && i <= 500 + r;
    };
    const Case cases[] = {
        {"one row", 1, 256, [](int, int, int i) { return i < 200; }},
        {"one row among others", 1, 1024, [](int, int, int i) { return i > 700 && i < 813; }},
        {"rows of a memory each", 1, 256, [](int s, int, int i) { return i < 40 * s; }, 5},
        {"rows in turns", 16, 768, [](int, int r, int i) { return i % 16 == r; }},
        {"rows in runs", 24, 768, runs},
        {"a prompt", 100, 256, [](int, int r, int i) { return i <= 100 + r; }},
        {"a prompt in a window", 100, 256, [](int, int r, int i) { return i <= r && i > r - 30; }},
        {"a prompt among others", 100, 704, [](int, int r, int i) { return i > 500 && i <= 550 + r; }},
        {"prompts and rows in turns", 90, 640, mixed},
        {"prompts of several", 130, 512, [](int, int r, int i) { return i / 65 == r / 65; }},
        {"rows that see nothing", 90, 256, [](int, int r, int i) { return r % 3 == 0 && i < 70; }},
        {"chance", 70, 320, [](int, int r, int i) { return (r * 31 + i * 17) % 7 < 2; }},
        {"as many heads as keys have", 70, 320, mixed, 1, 4, 4},
        {"two groups of heads", 70, 320, mixed, 1, 6, 2},
        {"two memories", 70, 320, mixed, 2},
        {"sinks", 70, 320, mixed, 1, 4, 2, 64, GGML_TYPE_F16, true},
        {"a soft cap", 70, 320, mixed, 1, 4, 2, 64, GGML_TYPE_F16, false, 5.0f},
        {"biases", 70, 320, mixed, 1, 6, 2, 64, GGML_TYPE_F16, false, 0.0f, 8.0f},
        {"single precision", 70, 320, mixed, 1, 4, 2, 64, GGML_TYPE_F32},
        {"an odd size", 70, 320, mixed, 1, 4, 2, 36},
    };
    for (const Case &each : cases) {
        for (int threads : {1, 3}) {
            std::printf("%s, %d threads\t%.9f\n", each.name, threads,
                        largest_difference(each, threads));
        }
    }
}
