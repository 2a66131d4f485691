// What the output of a generation must match: a grammar, awake or dormant.
//
// llama.cpp's grammar knows of texts. Two things are added to what it refuses:
// tokens that no text is written for, unless they are asked for, and bytes that
// are no UTF-8, which its grammars let pass in places.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "chain.h"
#include "mask.h"
#include "pieces.h"
#include "triggers.h"

namespace hr {

class Adjusted;

class Constraint {
  public:
    // Throws std::regex_error. `compile` comes next.
    Constraint(ModelCore &model, const hr_constraint &asked);
    // Has llama.cpp read the grammar and what of it is begun. HR_GRAMMAR_REFUSED if it cannot.
    int compile(hr_report *report);

    bool dormant() const noexcept { return grammar_ == nullptr; }
    // Whether the output may go on with a token.
    bool allows(llama_token token);
    // Sets what is refused to -inf; returns how many are left. Not while it is dormant.
    size_t filter(std::vector<llama_token_data> &candidates);
    // Whether the output may end here.
    bool complete();
    // Throws if the token is refused.
    void accept(llama_token token);
    std::unique_ptr<Constraint> clone() const;

  private:
    struct Rules {
        std::string text;
        std::string root;
        bool special_tokens;
        std::vector<llama_token> named;
        std::vector<llama_token> begun;
        std::optional<Triggers> triggers;
    };
    struct Awake {
        LlamaSampler grammar;
        Utf8 utf8;
        bool refuses;  // the token wakes the grammar, which refuses it
    };

    Constraint(ModelCore &model, std::shared_ptr<const Rules> rules);
    bool worth_asking(llama_token token);
    void note(Utf8 &state, llama_token token) const;
    // What a dormant grammar is after a token that wakes it; nothing if it does not.
    std::optional<Awake> wakes(llama_token token) const;
    void ask(llama_token token);
    LlamaSampler started(const char *pattern, const llama_token *token) const;

    ModelCore &model_;  // kept by the sampler
    std::shared_ptr<const Rules> rules_;
    LlamaSampler grammar_;  // empty: dormant
    Utf8 utf8_;
    Output output_;  // while dormant
    // What was found out about the last token asked about.
    llama_token asked_ = -1;
    std::optional<Awake> would_wake_;
};

// A draw after one that was refused. -1 at a dead end.
llama_token redraw(hr_sampler &sampler, Adjusted &adjusted, float *logits, int32_t n_vocab,
                   Mask mask, llama_token refused);

}  // namespace hr
