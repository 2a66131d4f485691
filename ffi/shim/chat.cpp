// Chat: messages to a prompt, and what the model wrote back to a message, by the
// template engine and the parsers of llama.cpp's libllama-common.
//
// What goes in and out is JSON, so that the many types of common/chat.h stay on
// this side. Templates, requests and outputs come from strangers, and are parsed by
// functions that recurse: they run on a thread with a large stack, which is watched,
// and what is over a limit is refused.
#include <chrono>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <string>

#include "model.h"
#include "watched.h"

#ifdef HEADRACE_COMMON
#include "chat.h"
#endif

namespace hr {

namespace {

constexpr int64_t kTemplateLimit = int64_t{1} << 20;
constexpr int64_t kInputLimit = int64_t{8} << 20;
constexpr int64_t kOutputLimit = int64_t{32} << 20;

}  // namespace

}  // namespace hr

#ifdef HEADRACE_COMMON

struct hr_chat {
    std::shared_ptr<hr::ModelCore> core;
    common_chat_templates_ptr templates;
    std::timed_mutex turn;  // rendering notes things in the compiled template

    hr_chat() = default;
    hr_chat(const hr_chat &) = delete;
    hr_chat &operator=(const hr_chat &) = delete;
    ~hr_chat();
};

struct hr_chat_parser {
    common_chat_parser_params params;
};

namespace hr {

namespace {

constexpr int64_t kShortOutput = 2048;
constexpr size_t kStackBase = size_t{256} << 20;
constexpr size_t kStackPerByte = 2048;
constexpr double kSeconds = 30;
constexpr size_t kMemory = size_t{1} << 30;
constexpr auto kTurnInterval = std::chrono::milliseconds(50);

// A watched call on a stack that is enough for sound input of that length.
int bounded(hr_report *report, const char *what, int64_t n_bytes, const Asked &asked, bool *lost,
            const std::function<int()> &body) {
    const size_t stack = kStackBase + static_cast<size_t>(n_bytes) * kStackPerByte;
    return watched(report, Bounds{what, stack, kSeconds, kMemory}, asked, lost, body);
}

// The turn of one thread, for which it may have to wait.
class Turn {
  public:
    Turn(std::timed_mutex &turn, const Asked &asked) : lock_(turn, std::defer_lock) {
        while (!lock_.try_lock_for(kTurnInterval)) {
            if (abandoned() || (asked.check != nullptr && asked.check(asked.user) != 0)) {
                return;
            }
        }
    }
    bool come() const noexcept { return lock_.owns_lock(); }

  private:
    std::unique_lock<std::timed_mutex> lock_;
};

int too_long(hr_report *report, const char *what, int64_t limit) {
    const std::string message =
        std::string(what) + " is longer than " + std::to_string(limit) + " bytes";
    say(report, message.c_str());
    return HR_CHAT_TOO_LONG;
}

int hand_over(const std::string &text, hr_chat_text *out) {
    out->bytes = static_cast<char *>(std::malloc(text.size() + 1));
    if (out->bytes == nullptr) {
        return HR_OUT_OF_MEMORY;
    }
    std::memcpy(out->bytes, text.data(), text.size());
    out->n_bytes = static_cast<int64_t>(text.size());
    return HR_OK;
}

// The source that a model's file names, as common_chat_templates_init chooses it.
std::string own_source(const llama_model *model) {
    for (const char *name : {static_cast<const char *>(nullptr), "tool_use"}) {
        const char *found = llama_model_chat_template(model, name);
        if (found != nullptr && *found != '\0') {
            return found;
        }
    }
    return "";
}

// common_chat_templates_init loses the reason of a failure on the way out; this does not.
void compile_for_the_reason(const std::string &source) {
    const common_chat_template compiled(source, "", "");
}

common_chat_templates_inputs inputs_of(const common_json &request) {
    common_chat_templates_inputs inputs;
    inputs.messages = common_chat_msgs_parse_oaicompat(request.at("messages"));
    inputs.tools = common_chat_tools_parse_oaicompat(request.at("tools"));
    inputs.tool_choice = common_chat_tool_choice_parse_oaicompat(
        request.at("tool_choice").get<std::string>());
    inputs.parallel_tool_calls = request.at("parallel_tool_calls").get<bool>();
    inputs.json_schema = request.at("json_schema").get<std::string>();
    inputs.reasoning_format = COMMON_REASONING_FORMAT_AUTO;
    inputs.enable_thinking = request.at("enable_thinking").get<bool>();
    for (const auto &[name, value] : request.at("template_args").items()) {
        inputs.chat_template_kwargs[name] = value.dump();
    }
    return inputs;
}

// What a template's failure says, without the words put around it.
std::string reason_of(const std::exception &error) {
    std::string reason = error.what();
    for (const char *around : {"Automatic parser generation failed: ", "------------\n"}) {
        if (const size_t at = reason.find(around); at != std::string::npos) {
            reason.erase(0, at + std::strlen(around));
        }
    }
    return reason;
}

common_json triggers_of(const common_chat_params &params) {
    auto triggers = common_json::array();
    for (const auto &trigger : params.grammar_triggers) {
        const char *kind = trigger.type == COMMON_GRAMMAR_TRIGGER_TYPE_PATTERN        ? "pattern"
                           : trigger.type == COMMON_GRAMMAR_TRIGGER_TYPE_PATTERN_FULL ? "full_pattern"
                                                                                      : "word";
        triggers.push_back({{"kind", kind}, {"value", trigger.value}});
    }
    return triggers;
}

common_json rendered_of(const common_chat_params &params) {
    return {
        {"prompt", params.prompt},
        {"grammar", params.grammar},
        {"lazy", params.grammar_lazy},
        {"generation_prompt", params.generation_prompt},
        {"triggers", triggers_of(params)},
        {"preserved_tokens", params.preserved_tokens},
        {"stops", params.additional_stops},
    };
}

common_json message_of(const common_chat_msg &message) {
    auto calls = common_json::array();
    for (const auto &call : message.tool_calls) {
        calls.push_back({{"name", call.name}, {"arguments", call.arguments}, {"id", call.id}});
    }
    return {
        {"content", message.content},
        {"reasoning", message.reasoning_content},
        {"tool_calls", calls},
    };
}

int parse_output(const hr_chat_parser *parser, const std::string &output, bool partial,
                 hr_chat_text *out, hr_report *report) {
    common_chat_msg message;
    try {
        message = common_chat_parse(output, partial, parser->params);
    } catch (const std::bad_alloc &) {
        throw;
    } catch (const std::exception &error) {
        say(report, error.what());
        return HR_BAD_OUTPUT;
    }
    return hand_over(message_of(message).dump_safe(), out);
}

}  // namespace

}  // namespace hr

// A template is a tree, whose destructor recurses with its depth.
hr_chat::~hr_chat() {
    if (templates == nullptr) {
        return;
    }
    bool lost = false;
    const int status =
        hr::bounded(nullptr, "the chat template", hr::kTemplateLimit, {nullptr, nullptr}, &lost, [&] {
            templates.reset();
            return HR_OK;
        });
    if (status != HR_OK) {
        templates.release();
    }
}

extern "C" {

bool hr_chat_available(void) { return true; }

hr_chat *hr_chat_new(void) { return new (std::nothrow) hr_chat; }

void hr_chat_delete(hr_chat *chat) {
    if (chat != nullptr && !hr::quiet()) {
        delete chat;
    }
}

hr_chat_parser *hr_chat_parser_new(void) { return new (std::nothrow) hr_chat_parser; }

void hr_chat_parser_delete(hr_chat_parser *parser) {
    if (parser != nullptr && !hr::quiet()) {
        delete parser;
    }
}

int hr_chat_compile(hr_chat *chat, hr_model *model, const char *source, int64_t n_bytes,
                    hr_check_fn check, void *user, hr_report *report) {
    const auto core = hr::model_core(model);
    common_chat_templates_ptr templates;
    bool lost = false;
    const auto compile = [&]() -> int {
        if (chat == nullptr) {
            return HR_OUT_OF_MEMORY;  // there was none for it
        }
        if (const int refused = hr::usable(core); refused != HR_OK) {
            return refused;
        }
        const std::string given = source == nullptr
                                      ? std::string()
                                      : std::string(source, static_cast<size_t>(n_bytes));
        const std::string chosen = source == nullptr ? hr::own_source(core->model) : given;
        if (chosen.empty()) {
            return HR_NO_TEMPLATE;
        }
        if (chosen.size() > static_cast<size_t>(hr::kTemplateLimit)) {
            return hr::too_long(report, "the template", hr::kTemplateLimit);
        }
        try {
            hr::compile_for_the_reason(chosen);
            templates = common_chat_templates_init(core->model, given);
        } catch (const std::bad_alloc &) {
            throw;
        } catch (const std::exception &error) {
            hr::say(report, error.what());
            return HR_BAD_TEMPLATE;
        }
        return HR_OK;
    };
    const int status = hr::bounded(report, "the chat template",
                                   source == nullptr ? hr::kTemplateLimit : n_bytes,
                                   {check, user}, &lost, compile);
    if (lost) {
        templates.release();
    }
    if (status == HR_OK) {
        chat->templates = std::move(templates);
        chat->core = core;
    }
    return status;
}

int hr_chat_render(hr_chat *chat, const char *request, int64_t n_bytes, hr_chat_parser *parser,
                   hr_chat_text *rendered, hr_check_fn check, void *user, hr_report *report) {
    const auto render = [&]() -> int {
        if (n_bytes > hr::kInputLimit) {
            return hr::too_long(report, "the conversation", hr::kInputLimit);
        }
        const auto inputs = hr::inputs_of(
            common_json::parse(std::string(request, static_cast<size_t>(n_bytes))));
        common_chat_params params;
        try {
            params = common_chat_templates_apply(chat->templates.get(), inputs);
        } catch (const std::bad_alloc &) {
            throw;
        } catch (const std::exception &error) {
            hr::say(report, hr::reason_of(error).c_str());
            return HR_RENDER_FAILED;
        }
        const std::string text = hr::rendered_of(params).dump_safe();
        if (text.size() > static_cast<size_t>(hr::kOutputLimit)) {
            return hr::too_long(report, "the rendered conversation", hr::kOutputLimit);
        }
        parser->params = common_chat_parser_params(params);
        if (!params.parser.empty()) {
            parser->params.parser.load(params.parser);
        }
        return hr::hand_over(text, rendered);
    };
    return hr::guarded(report, [&]() -> int {
        if (chat == nullptr) {
            return HR_CLOSED;
        }
        if (parser == nullptr) {
            return HR_OUT_OF_MEMORY;  // there was none for it
        }
        const hr::Asked asked{check, user};
        const hr::Turn turn(chat->turn, asked);
        if (!turn.come()) {
            return HR_INTERRUPTED;
        }
        if (const int refused = hr::usable(chat->core); refused != HR_OK) {
            return refused;
        }
        if (chat->templates == nullptr) {
            hr::say(report, "another thread had to leave it in the middle; try again");
            return HR_OVER_BOUNDS;
        }
        bool lost = false;
        const int status =
            hr::bounded(report, "the chat template", n_bytes, asked, &lost, render);
        if (lost) {
            chat->templates.release();
        }
        return status;
    });
}

int hr_chat_parse(const hr_chat_parser *parser, const char *output, int64_t n_bytes, bool partial,
                  hr_chat_text *message, hr_check_fn check, void *user, hr_report *report) {
    const auto parse = [&]() -> int {
        if (parser == nullptr) {
            return HR_CLOSED;
        }
        if (n_bytes > hr::kInputLimit) {
            return hr::too_long(report, "the answer", hr::kInputLimit);
        }
        return hr::parse_output(parser, std::string(output, static_cast<size_t>(n_bytes)), partial,
                                message, report);
    };
    bool lost = false;
    return n_bytes <= hr::kShortOutput
               ? hr::guarded(report, parse)
               : hr::bounded(report, "the answer", n_bytes, {check, user}, &lost, parse);
}

}  // extern "C"

#else

extern "C" {

bool hr_chat_available(void) { return false; }

hr_chat *hr_chat_new(void) { return nullptr; }

void hr_chat_delete(hr_chat *) {}

hr_chat_parser *hr_chat_parser_new(void) { return nullptr; }

void hr_chat_parser_delete(hr_chat_parser *) {}

int hr_chat_compile(hr_chat *, hr_model *, const char *, int64_t, hr_check_fn, void *,
                    hr_report *report) {
    return hr::guarded(report, []() -> int { return HR_NO_COMMON; });
}

int hr_chat_render(hr_chat *, const char *, int64_t, hr_chat_parser *, hr_chat_text *,
                   hr_check_fn, void *, hr_report *report) {
    return hr::guarded(report, []() -> int { return HR_NO_COMMON; });
}

int hr_chat_parse(const hr_chat_parser *, const char *, int64_t, bool, hr_chat_text *,
                  hr_check_fn, void *, hr_report *report) {
    return hr::guarded(report, []() -> int { return HR_NO_COMMON; });
}

}  // extern "C"

#endif

extern "C" {

int64_t hr_chat_template_limit(void) { return hr::kTemplateLimit; }

int64_t hr_chat_input_limit(void) { return hr::kInputLimit; }

int64_t hr_chat_output_limit(void) { return hr::kOutputLimit; }

void hr_chat_text_free(hr_chat_text *text) {
    std::free(text->bytes);
    text->bytes = nullptr;
    text->n_bytes = 0;
}

}  // extern "C"
