/* chat: chat.cpp, over llama.cpp's libllama-common */

/* Whether the shim was compiled with libllama-common; without it these calls end with HR_NO_COMMON. */
bool hr_chat_available(void);
/* Most bytes of a template's source; of a request, or of text to parse; of a rendered prompt. */
int64_t hr_chat_template_limit(void);
int64_t hr_chat_input_limit(void);
int64_t hr_chat_output_limit(void);

/* What a call wrote: freed by hr_chat_text_free. */
typedef struct hr_chat_text {
    char *bytes;
    int64_t n_bytes;
} hr_chat_text;
void hr_chat_text_free(hr_chat_text *text);

/* A compiled template; holds its model. */
typedef struct hr_chat hr_chat;
/* Reads the output of one rendered prompt. Used by one thread at a time. */
typedef struct hr_chat_parser hr_chat_parser;

hr_chat *hr_chat_new(void);
/* `source` NULL: the model's own template, or HR_NO_TEMPLATE. `check` may be NULL, as below. */
int hr_chat_compile(hr_chat *chat, hr_model *model, const char *source, int64_t n_bytes,
                    hr_check_fn check, void *user, hr_report *report);
void hr_chat_delete(hr_chat *chat);

/* Renders a request (JSON, see headrace_llamacpp/chat.py) into JSON, and sets the parser up for
 * what the model will write. Threads take turns. A template that had to be left in the middle
 * is to be compiled anew: HR_OVER_BOUNDS until then. */
int hr_chat_render(hr_chat *chat, const char *request, int64_t n_bytes, hr_chat_parser *parser,
                   hr_chat_text *rendered, hr_check_fn check, void *user, hr_report *report);

hr_chat_parser *hr_chat_parser_new(void);
void hr_chat_parser_delete(hr_chat_parser *parser);
/* What the model wrote, so far (`partial`) or in all, as a message in JSON. */
int hr_chat_parse(const hr_chat_parser *parser, const char *output, int64_t n_bytes, bool partial,
                  hr_chat_text *message, hr_check_fn check, void *user, hr_report *report);
