// Following a grammar token by token; see constraint.h.
#include "constraint.h"

#include <algorithm>
#include <cmath>

#include "stack.h"

namespace hr {

namespace {

// llama.cpp's parser and its look for left recursion recurse.
constexpr size_t kParserStack = size_t{64} << 20;

bool refused(llama_sampler *grammar, llama_token token) {
    llama_token_data one = {token, 1.0f, 0.0f};
    llama_token_data_array array = {&one, 1, -1, false};
    llama_sampler_apply(grammar, &array);
    return one.logit == -INFINITY;
}

}  // namespace

Constraint::Constraint(ModelCore &model, const hr_constraint &asked) : model_(model) {
    auto rules = std::make_shared<Rules>();
    rules->text = asked.grammar;
    rules->root = asked.root;
    rules->special_tokens = asked.special_tokens;
    rules->named.assign(asked.named, asked.named + asked.n_named);
    rules->begun.assign(asked.begun, asked.begun + asked.n_begun);
    std::sort(rules->named.begin(), rules->named.end());
    if (asked.lazy) {
        rules->triggers.emplace(asked);
    }
    rules_ = std::move(rules);
}

Constraint::Constraint(ModelCore &model, std::shared_ptr<const Rules> rules)
    : model_(model), rules_(std::move(rules)) {}

int Constraint::compile(hr_report *report) {
    LlamaSampler grammar;
    int status = HR_OK;
    const int ran = with_stack(kParserStack, [&] {
        status = guarded(report, [&]() -> int {
            grammar.reset(llama_sampler_init_grammar(model_.vocab, rules_->text.c_str(),
                                                     rules_->root.c_str()));
            if (grammar == nullptr) {
                return HR_GRAMMAR_REFUSED;
            }
            for (const llama_token token : rules_->begun) {
                if (refused(grammar.get(), token)) {
                    say(report, "what is begun is no beginning of it");
                    return HR_GRAMMAR_REFUSED;
                }
                llama_sampler_accept(grammar.get(), token);
            }
            return HR_OK;
        });
    });
    // A lazy grammar was only tried: it is made when it wakes.
    if (!rules_->triggers.has_value()) {
        grammar_ = std::move(grammar);
    }
    return ran == HR_OK ? status : ran;
}

// What needs no grammar to be refused.
bool Constraint::worth_asking(llama_token token) {
    if (llama_vocab_is_eog(model_.vocab, token)) {
        return utf8_.whole();
    }
    if (is_control(model_.vocab, token)) {
        return rules_->special_tokens ||
               std::binary_search(rules_->named.begin(), rules_->named.end(), token);
    }
    const auto &fragments = model_.fragments.of(model_.vocab);
    const auto fragment = fragments.find(token);
    if (fragment == fragments.end()) {
        return utf8_.whole();
    }
    Utf8 state = utf8_;
    return state.feed(fragment->second);
}

bool Constraint::allows(llama_token token) {
    if (dormant()) {
        ask(token);
        return !would_wake_.has_value() || !would_wake_->refuses;
    }
    return worth_asking(token) && !refused(grammar_.get(), token);
}

size_t Constraint::filter(std::vector<llama_token_data> &candidates) {
    std::vector<llama_token_data> asked;
    std::vector<size_t> places;
    for (size_t i = 0; i < candidates.size(); ++i) {
        if (worth_asking(candidates[i].id)) {
            asked.push_back({candidates[i].id, 1.0f, 0.0f});
            places.push_back(i);
        } else {
            candidates[i].logit = -INFINITY;
        }
    }
    llama_token_data_array array = {asked.data(), asked.size(), -1, false};
    llama_sampler_apply(grammar_.get(), &array);
    size_t left = asked.size();
    for (size_t i = 0; i < asked.size(); ++i) {
        if (asked[i].logit == -INFINITY) {
            candidates[places[i]].logit = -INFINITY;
            --left;
        }
    }
    return left;
}

bool Constraint::complete() {
    return !dormant() && !model_.eog.empty() && allows(model_.eog.front());
}

void Constraint::note(Utf8 &state, llama_token token) const {
    const auto &fragments = model_.fragments.of(model_.vocab);
    const auto fragment = fragments.find(token);
    if (fragment != fragments.end()) {
        state.feed(fragment->second);
    }
}

void Constraint::accept(llama_token token) {
    if (!dormant()) {
        llama_sampler_accept(grammar_.get(), token);
        note(utf8_, token);
        return;
    }
    ask(token);
    asked_ = -1;
    if (!would_wake_.has_value()) {
        output_.push(token, piece(model_.vocab, token, true));
        return;
    }
    if (would_wake_->refuses) {
        throw std::runtime_error("the grammar refuses the token that wakes it");
    }
    grammar_ = std::move(would_wake_->grammar);
    utf8_ = would_wake_->utf8;
    would_wake_.reset();
    output_ = Output();
}

void Constraint::ask(llama_token token) {
    if (asked_ != token) {
        would_wake_ = wakes(token);
        asked_ = token;
    }
}

// llama.cpp's lazy grammar is the one way to feed it a part of a token: its trigger then is the
// place where that part begins.
LlamaSampler Constraint::started(const char *pattern, const llama_token *token) const {
    LlamaSampler grammar;
    const int ran = with_stack(kParserStack, [&] {
        guarded(nullptr, [&]() -> int {
            grammar.reset(llama_sampler_init_grammar_lazy_patterns(
                model_.vocab, rules_->text.c_str(), rules_->root.c_str(), &pattern,
                pattern != nullptr, token, token != nullptr));
            return HR_OK;
        });
    });
    if (ran != HR_OK || grammar == nullptr) {
        throw std::bad_alloc();  // it was read before
    }
    return grammar;
}

std::optional<Constraint::Awake> Constraint::wakes(llama_token token) const {
    if (llama_vocab_is_eog(model_.vocab, token)) {
        return std::nullopt;
    }
    const Triggers &triggers = *rules_->triggers;
    std::vector<Output::Part> parts;
    Awake awake = {nullptr, Utf8(), false};
    if (std::find(triggers.tokens.begin(), triggers.tokens.end(), token) !=
        triggers.tokens.end()) {
        awake.grammar = started(nullptr, &token);
        parts.push_back({token, 0, 0});
    } else {
        Output output = output_;
        output.push(token, piece(model_.vocab, token, true));
        const size_t start = output.find(triggers);
        if (start == std::string::npos) {
            return std::nullopt;
        }
        parts = output.parts(start);
        if (parts.empty()) {
            return std::nullopt;  // a pattern that matched nothing at the very end
        }
        const size_t before = start > parts.front().begin ? start - parts.front().begin : 0;
        const std::string skipped =
            before > 0 ? "[\\s\\S]{" + std::to_string(before) + "}" : std::string();
        awake.grammar = started(("^" + skipped + "([\\s\\S]+)").c_str(), nullptr);
    }
    try {
        for (const Output::Part &part : parts) {
            llama_sampler_accept(awake.grammar.get(), part.token);
        }
    } catch (const std::runtime_error &) {
        awake.refuses = true;
    }
    note(awake.utf8, token);
    return awake;
}

std::unique_ptr<Constraint> Constraint::clone() const {
    std::unique_ptr<Constraint> cloned(new Constraint(model_, rules_));
    cloned->grammar_ = hr::clone(grammar_);
    cloned->utf8_ = utf8_;
    cloned->output_ = output_;
    return cloned;
}

}  // namespace hr
