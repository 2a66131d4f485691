// What llama.cpp itself makes of a conversation, for comparison.
//
// usage: chat_reference TEMPLATE_FILE MESSAGES_JSON TOOLS_JSON OUTPUT
// Prints as JSON: the prompt, the grammar, and OUTPUT read as a message. Without a model, as the
// tools of llama.cpp that check templates do it.
#include <cstdio>
#include <fstream>
#include <sstream>

#include "chat.h"
#include "log.h"

int main(int argc, char **argv) {
    if (argc != 5) {
        return 2;
    }
    common_log_set_verbosity_thold(-1);
    std::ifstream file(argv[1]);
    std::stringstream source;
    source << file.rdbuf();
    const auto templates = common_chat_templates_init(nullptr, source.str(), "<s>", "</s>");
    common_chat_templates_inputs inputs;
    inputs.messages = common_chat_msgs_parse_oaicompat(common_json::parse(argv[2]));
    inputs.tools = common_chat_tools_parse_oaicompat(common_json::parse(argv[3]));
    inputs.reasoning_format = COMMON_REASONING_FORMAT_AUTO;
    inputs.add_bos = true;
    const common_chat_params params = common_chat_templates_apply(templates.get(), inputs);
    common_chat_parser_params parser(params);
    parser.parser.load(params.parser);
    const common_chat_msg message = common_chat_parse(argv[4], false, parser);
    const common_json out = {
        {"prompt", params.prompt},
        {"grammar", params.grammar},
        {"message", message.to_json_oaicompat()},
    };
    std::puts(out.dump().c_str());
    return 0;
}
