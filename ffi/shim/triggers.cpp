// Looking for triggers; see triggers.h.
#include "triggers.h"

#include <algorithm>
#include <exception>

#include "stack.h"

namespace hr {

namespace {

constexpr size_t kShortText = 1024;
constexpr size_t kSearched = 2048;
constexpr size_t kStackPerByte = 2048;  // std::regex may recurse
constexpr size_t kStackBase = size_t{1} << 20;

// A pattern of a user's must not decide how deep or how long the matcher goes. libstdc++ has a
// matcher that goes back over nothing; it refuses back-references, which need that.
#if defined(__GLIBCXX__)
constexpr auto kSyntax = std::regex_constants::ECMAScript | std::regex_constants::__polynomial;
#else
constexpr auto kSyntax = std::regex_constants::ECMAScript;
#endif

std::vector<std::regex> compiled(const char **patterns, int32_t count) {
    std::vector<std::regex> found;
    for (int32_t i = 0; i < count; ++i) {
        found.emplace_back(patterns[i], kSyntax);
    }
    return found;
}

// The first group that is not empty, or all of it.
size_t start_of(const std::smatch &match) {
    for (size_t i = 1; i < match.size(); ++i) {
        if (match.length(i) > 0) {
            return static_cast<size_t>(match.position(i));
        }
    }
    return static_cast<size_t>(match.position(0));
}

size_t find_pattern(const std::string &text, const Triggers &triggers, bool whole) {
    std::smatch match;
    // A search begins anew at every character: over all of a long text it would take for ever.
    const size_t from = text.size() > kSearched ? text.size() - kSearched : 0;
    const auto flags = from > 0 ? std::regex_constants::match_not_bol
                                : std::regex_constants::match_default;
    for (const std::regex &pattern : triggers.patterns) {
        if (std::regex_search(text.cbegin() + static_cast<std::ptrdiff_t>(from), text.cend(),
                              match, pattern, flags)) {
            return from + start_of(match);
        }
    }
    if (whole) {
        for (const std::regex &pattern : triggers.full_patterns) {
            if (std::regex_match(text, match, pattern)) {
                return start_of(match);
            }
        }
    }
    return std::string::npos;
}

}  // namespace

Triggers::Triggers(const hr_constraint &constraint)
    : words(constraint.words, constraint.words + constraint.n_words),
      patterns(compiled(constraint.patterns, constraint.n_patterns)),
      full_patterns(compiled(constraint.full_patterns, constraint.n_full_patterns)),
      tokens(constraint.tokens, constraint.tokens + constraint.n_tokens) {}

void Output::push(llama_token token, const std::string &bytes) {
    if (text_.size() > 2 * kKept) {
        const size_t gone = text_.size() - kKept;
        text_.erase(0, gone);
        std::vector<Part> kept;
        for (const Part &part : parts_) {
            if (part.begin >= gone) {
                kept.push_back({part.token, part.begin - gone, part.end - gone});
            }
        }
        parts_ = std::move(kept);
        cut_ = true;
    }
    last_ = text_.size();
    text_ += bytes;
    parts_.push_back({token, last_, text_.size()});
}

size_t Output::find_word(const std::string &word) const {
    const size_t back = word.size() - 1;
    return text_.find(word, last_ > back ? last_ - back : 0);
}

size_t Output::find(const Triggers &triggers) const {
    size_t start = std::string::npos;
    for (const std::string &word : triggers.words) {
        start = std::min(start, find_word(word));
    }
    if (start != std::string::npos ||
        (triggers.patterns.empty() && triggers.full_patterns.empty())) {
        return start;
    }
    if (text_.size() <= kShortText) {
        return find_pattern(text_, triggers, !cut_);
    }
    std::exception_ptr failure;
    const int started = with_stack(kStackBase + text_.size() * kStackPerByte, [&] {
        try {
            start = find_pattern(text_, triggers, !cut_);
        } catch (const std::exception &) {
            failure = std::current_exception();
        }
    });
    if (failure != nullptr) {
        std::rethrow_exception(failure);
    }
    if (started != HR_OK) {
        throw std::bad_alloc();
    }
    return start;
}

std::vector<Output::Part> Output::parts(size_t start) const {
    std::vector<Part> found;
    for (const Part &part : parts_) {
        if (part.end > start) {
            found.push_back(part);
        }
    }
    return found;
}

}  // namespace hr
