// How many threads pay: learnt from the steps themselves, while they are computed.
//
// Takes times and gives numbers; it asks no clock and starts no thread, so that tests can be its
// machine. The numbers that it chooses among are few: all, one less, three quarters, and halves.
//
// Steps are compared with steps of about as many tokens. Of each such kind it knows a best number, and
// now and then it tries another one near it. What trials take longer than the best would
// have is paid from a credit, a small share of the time that steps take: so trials of a number that
// is nearly as good are frequent, and those of a bad one rare.
//
// A thread that computes and does not run all the time shows that others want the processors. When that
// begins or ends, what was known of the other numbers is doubtful, and they are tried at once. Where
// others only become more or fewer, the numbers are taken to keep their ratios until tried again.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace hr {

// Seconds that the calling thread ran; negative where the system does not tell.
double ran_seconds() noexcept;

class ThreadChoice {
  public:
    // With 1 there is nothing to find out.
    explicit ThreadChoice(int32_t most);

    // Threads for a step of so many tokens, at a time in seconds.
    int32_t choose(int32_t n_tokens, double now);
    // What the step took that `choose` was asked for last, and for how much of it the calling thread
    // ran; negative: not measured.
    void learn(int32_t n_tokens, double seconds, double ran, double now);

  private:
    struct Number {
        double cost = 0.0;    // seconds of a unit of work, a mean that forgets
        double weight = 0.0;  // steps that it is a mean of, as far as not forgotten
        double seen = 0.0;    // when it was used last
        bool doubtful = true;
    };
    struct Kind {
        std::vector<Number> numbers;
        int32_t best = -1;   // -1: no step yet
        int32_t tried = -1;  // on trial; -1: none
        int32_t n_left = 0;  // steps of the trial to come
        int32_t n_after = 0;  // steps to come that a trial before may delay
    };

    static constexpr size_t kKinds = 24;

    Kind &kind_of(int32_t n_tokens);
    int32_t best_near(const Kind &kind) const;
    int32_t neighbour(const Kind &kind) const;
    bool affordable(const Kind &kind, int32_t at, double units, double now) const;
    void keep_ratios(Kind &kind, double change);
    void watch(double seconds, double ran, double now);
    void judge(Kind &kind);

    std::vector<int32_t> ladder_;  // falling
    std::array<Kind, kKinds> kinds_;
    double credit_ = 0.0;    // seconds
    double away_ = 0.0;      // share of the time that the calling thread did not run
    double watched_ = 0.0;   // seconds that it is a mean of, as far as not forgotten
    double granted_ = -1e9;  // when a long trial was paid for last because others had come
    bool busy_ = false;      // others want the processors
    bool settled_ = false;   // that is known of the number that is best now
};

}  // namespace hr
