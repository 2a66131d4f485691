// Making DRY samplers; see dry.h.
#include "dry.h"

#include <algorithm>
#include <tuple>

namespace hr {

namespace {

constexpr size_t kKept = 4;

}  // namespace

DrySamplers::Key::Key(const hr_sampling &settings)
    : multiplier(settings.dry_multiplier),
      base(settings.dry_base),
      allowed_length(settings.dry_allowed_length),
      penalty_last_n(settings.dry_penalty_last_n),
      breakers(settings.dry_sequence_breakers,
               settings.dry_sequence_breakers + settings.n_dry_sequence_breakers) {}

bool DrySamplers::Key::operator==(const Key &other) const {
    const auto fields = [](const Key &key) {
        return std::tie(key.multiplier, key.base, key.allowed_length, key.penalty_last_n,
                        key.breakers);
    };
    return fields(*this) == fields(other);
}

LlamaSampler DrySamplers::make(const llama_vocab *vocab, const hr_sampling &settings) {
    const std::lock_guard<std::mutex> lock(mutex_);
    return clone(prototype(vocab, settings));
}

const LlamaSampler &DrySamplers::prototype(const llama_vocab *vocab,
                                           const hr_sampling &settings) {
    Key key(settings);
    const auto found = std::find_if(prototypes_.begin(), prototypes_.end(),
                                    [&](const Prototype &each) { return each.key == key; });
    if (found != prototypes_.end()) {
        return found->sampler;
    }
    LlamaSampler made(llama_sampler_init_dry(
        vocab, key.multiplier, key.base, key.allowed_length, key.penalty_last_n,
        settings.dry_sequence_breakers, static_cast<size_t>(settings.n_dry_sequence_breakers)));
    if (made == nullptr) {
        throw std::bad_alloc();
    }
    if (prototypes_.size() == kKept) {
        prototypes_.pop_front();
    }
    prototypes_.push_back({std::move(key), std::move(made)});
    return prototypes_.back().sampler;
}

}  // namespace hr
