// What a thread that renders a template is watched by.
//
// A template is a program: it may recurse without end, loop for ever, or build what fits into no
// memory, and llama.cpp's interpreter has no limit. headrace's build therefore compiles the files
// of libllama-common that work on templates, conversations and answers with GCC's
// -finstrument-functions, which has every function of theirs call a hook as it begins (watch.cpp,
// which becomes a part of that library). On a thread that is not watched the hook does nothing.
#pragma once

#include <atomic>

struct headrace_watch {
    const char *low = nullptr;  // a function whose frame lies below it is over
    std::atomic<int> stop{0};   // nonzero: whatever begins next is over
    // What over means: to throw, to leave by longjmp, or to let the function begin after all.
    void (*over)(headrace_watch *self, void *function, const char *frame) = nullptr;
};

extern "C" {
// Watches the calling thread; nullptr ends it.
void headrace_watch_thread(headrace_watch *watch);
}
