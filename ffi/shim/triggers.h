// What wakes a dormant grammar: texts, patterns and tokens, looked for in the output.
//
// llama.cpp's own lazy grammar runs every pattern over the whole output at every
// token, on the caller's stack, and throws when the token that completes a
// trigger goes on with what the grammar does not allow. Here patterns look at
// the end of the output only, on a stack that is large enough, and a token can
// be asked about before it is accepted.
#pragma once

#include <memory>
#include <regex>
#include <string>
#include <vector>

#include "guard.h"

namespace hr {

struct Triggers {
    std::vector<std::string> words;
    std::vector<std::regex> patterns;
    std::vector<std::regex> full_patterns;
    std::vector<llama_token> tokens;

    // Throws std::regex_error for a pattern that cannot be read.
    explicit Triggers(const hr_constraint &constraint);
};

// The end of the output, and which tokens it came from.
class Output {
  public:
    void push(llama_token token, const std::string &bytes);

    // Where a trigger begins that the last token has completed, or npos. The triggers are looked
    // for in this order: words, of which the first in the text counts, patterns, full patterns.
    size_t find(const Triggers &triggers) const;

    struct Part {
        llama_token token;
        size_t begin;
        size_t end;
    };
    // The tokens that have a part in the text from `start` on.
    std::vector<Part> parts(size_t start) const;

  private:
    size_t find_word(const std::string &word) const;

    static constexpr size_t kKept = size_t{32} << 10;
    std::string text_;
    std::vector<Part> parts_;
    size_t last_ = 0;    // where the last token begins
    bool cut_ = false;   // what the output began with is not here any more
};

}  // namespace hr
