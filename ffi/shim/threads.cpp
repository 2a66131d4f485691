#include "threads.h"

#include <algorithm>
#include <cmath>
#include <ctime>

namespace hr {

namespace {

constexpr double kQuietShare = 0.005;  // of the time of steps, for trials: with all threads, alone
constexpr double kShare = 0.02;        // and otherwise
constexpr double kMostCredit = 0.2;    // seconds, or twice a step
constexpr double kMemory = 2.0;        // seconds after which a step counts a third
constexpr double kRest = 0.1;          // seconds between trials of a number
constexpr double kBetter = 0.97;       // of the best's cost: less is better
constexpr double kLongStep = 0.1;      // seconds; such a step is a trial alone
constexpr double kUnknown = 0.5;       // of a long step, that an unknown number may take longer
constexpr double kGrantRest = 4.0;     // seconds between long trials that a change alone pays for
constexpr std::ptrdiff_t kNear = 2;    // kinds: steps of up to four times as many tokens
constexpr int32_t kTrial = 2;          // steps
constexpr int32_t kAfter = 8;          // steps after a trial that it may still delay
constexpr double kWatch = 0.1;         // seconds of steps after which one counts a third
constexpr double kQuiet = 0.06;        // share of the time away: less is none
constexpr double kBusy = 0.15;         // more is others' work

// A step reads all weights, which takes about as long as some tokens do.
double units_of(int32_t n_tokens) { return 8.0 + n_tokens; }

}  // namespace

double ran_seconds() noexcept {
#ifdef CLOCK_THREAD_CPUTIME_ID
    timespec time;
    if (clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time) == 0) {
        return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
    }
#endif
    return -1.0;  // Windows counts in ticks of its clock, which are longer than a step
}

ThreadChoice::ThreadChoice(int32_t most) {
    for (int32_t number : {most, most - 1, most - most / 4}) {
        if (number > 0) {
            ladder_.push_back(number);
        }
    }
    for (int32_t number = most / 2; number > 0; number /= 2) {
        ladder_.push_back(number);
    }
    ladder_.push_back(1);
    std::sort(ladder_.rbegin(), ladder_.rend());
    ladder_.erase(std::unique(ladder_.begin(), ladder_.end()), ladder_.end());
}

ThreadChoice::Kind &ThreadChoice::kind_of(int32_t n_tokens) {
    size_t kind = 0;
    while (n_tokens > 1 && kind + 1 < kKinds) {
        n_tokens /= 2;
        ++kind;
    }
    return kinds_[kind];
}

int32_t ThreadChoice::choose(int32_t n_tokens, double now) {
    Kind &kind = kind_of(n_tokens);
    if (kind.best < 0) {
        kind.numbers.resize(ladder_.size());
        kind.best = best_near(kind);
    }
    if (kind.tried < 0 && ladder_.size() > 1) {
        const double units = units_of(n_tokens);
        const int32_t next = neighbour(kind);
        if (affordable(kind, next, units, now)) {
            kind.tried = next;
            kind.n_left = kind.numbers[kind.best].cost * units > kLongStep ? 1 : kTrial;
        }
    }
    return ladder_[kind.tried < 0 ? kind.best : kind.tried];
}

// What is right for steps of nearly as many tokens is likely right for these; else all threads.
int32_t ThreadChoice::best_near(const Kind &kind) const {
    const auto at = &kind - kinds_.data();
    for (std::ptrdiff_t distance = 1; distance <= kNear; ++distance) {
        for (const std::ptrdiff_t near : {at - distance, at + distance}) {
            if (near >= 0 && near < static_cast<std::ptrdiff_t>(kKinds) && kinds_[near].best >= 0) {
                return kinds_[near].best;
            }
        }
    }
    return 0;
}

// Of the two rungs above the best and the two below, the one that was not used for longest.
int32_t ThreadChoice::neighbour(const Kind &kind) const {
    const auto n_rungs = static_cast<int32_t>(ladder_.size());
    int32_t found = -1;
    for (int32_t at : {kind.best + 1, kind.best - 1, kind.best + 2, kind.best - 2}) {
        if (at >= 0 && at < n_rungs &&
            (found < 0 || kind.numbers[at].seen < kind.numbers[found].seen)) {
            found = at;
        }
    }
    return found;
}

bool ThreadChoice::affordable(const Kind &kind, int32_t at, double units, double now) const {
    const Number &best = kind.numbers[kind.best];
    const Number &number = kind.numbers[at];
    const double step = best.cost * units;
    const bool is_long = step > kLongStep;
    if (best.doubtful || best.weight < (is_long ? 1.0 : kTrial)) {
        return false;  // nothing to compare with
    }
    if (number.doubtful) {
        // More threads rarely cost a long step much.
        const bool cheap = is_long ? at < kind.best : busy_;
        return cheap || credit_ >= kUnknown * step;
    }
    // Times scatter on a busy machine: what looks very bad may have been bad luck.
    const double more = std::min(std::max(0.0, number.cost - best.cost), best.cost);
    const double expected = more * units * (is_long ? 1 : kTrial);
    return now - number.seen >= kRest && credit_ >= expected;
}

void ThreadChoice::learn(int32_t n_tokens, double seconds, double ran, double now) {
    Kind &kind = kind_of(n_tokens);
    if (kind.best < 0 || ladder_.size() == 1) {
        return;
    }
    const double units = units_of(n_tokens);
    const bool trial = kind.tried >= 0;
    Number &number = kind.numbers[trial ? kind.tried : kind.best];
    if (!trial && kind.n_after > 0) {
        // The system's scheduler has to find places for the threads again.
        --kind.n_after;
        credit_ -= seconds - number.cost * units;
    } else {
        const double before = trial || number.doubtful || !busy_ ? 0.0 : number.cost;
        number.weight *= number.doubtful ? 0.0 : std::exp((number.seen - now) / kMemory);
        number.weight += 1.0;
        number.cost += (seconds / units - number.cost) / number.weight;
        number.doubtful = false;
        if (before > 0) {
            keep_ratios(kind, number.cost / before);
        }
    }
    number.seen = now;
    if (trial) {
        credit_ -= seconds - kind.numbers[kind.best].cost * units;
        if (--kind.n_left > 0) {
            return;
        }
        kind.tried = -1;
        kind.n_after = busy_ && seconds < kLongStep ? kAfter : 0;
    } else {
        const bool quiet = settled_ && !busy_ && kind.best == 0;
        credit_ += (quiet ? kQuietShare : kShare) * seconds;
        watch(seconds, ran, now);
    }
    credit_ = std::min(credit_, std::max(kMostCredit, 2 * seconds));
    judge(kind);
}

// Where more or fewer others want the processors than before, all numbers suffer about alike: what
// was measured a while ago is compared with as if it were measured now.
void ThreadChoice::keep_ratios(Kind &kind, double change) {
    for (Number &number : kind.numbers) {
        if (&number != &kind.numbers[kind.best]) {
            number.cost *= change;
        }
    }
}

// Whether others want the processors, and what is doubtful when that has changed.
void ThreadChoice::watch(double seconds, double ran, double now) {
    if (ran < 0) {
        return;
    }
    watched_ = watched_ * std::exp(-seconds / kWatch) + seconds;
    away_ += (std::max(0.0, 1.0 - ran / seconds) - away_) * std::min(1.0, seconds / watched_);
    const bool busy = busy_ ? away_ > kQuiet : away_ > kBusy;
    const bool changed = settled_ && busy != busy_;
    if (busy && !busy_ && now - granted_ >= kGrantRest) {
        credit_ = std::max(credit_, kUnknown * seconds);
        granted_ = now;
    }
    busy_ = busy;
    settled_ = settled_ || watched_ > kWatch / 2;
    if (changed) {
        credit_ = std::max(credit_, 0.0);
        for (Kind &kind : kinds_) {
            for (Number &number : kind.numbers) {
                number.doubtful = true;
            }
            kind.n_after = 0;
        }
    }
}

void ThreadChoice::judge(Kind &kind) {
    const int32_t before = kind.best;
    double least = kind.numbers[before].doubtful ? 0.0 : kBetter * kind.numbers[before].cost;
    for (int32_t at = 0; at < static_cast<int32_t>(kind.numbers.size()); ++at) {
        const Number &number = kind.numbers[at];
        if (!number.doubtful && number.cost < least) {
            least = number.cost;
            kind.best = at;
        }
    }
    if (kind.best != before) {
        kind.n_after = 0;
        // Another number of threads is kept waiting more or less by the same others.
        settled_ = false;
        watched_ = 0.0;
    }
}

}  // namespace hr
