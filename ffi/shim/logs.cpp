// llama.cpp's log, kept in a bounded ring instead of on stderr.
//
// Any thread may log at any time, also one that holds no GIL, so nothing here
// calls Python. Entries carry the id of the guarded call they were written in;
// threads of the library's own are tagged 0. Reading does not remove: Python
// follows with a serial number, and an error can look back at its own call.
#include "logs.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstring>
#include <mutex>
#include <new>
#include <string>

#include "guard.h"

namespace hr {

namespace {

constexpr size_t kCapacity = 1024;

struct Entry {
    uint64_t serial = 0;
    uint64_t call_id = 0;
    int level = 0;
    std::string text;
};

struct Ring {
    std::mutex lock;
    std::array<Entry, kCapacity> entries;
    std::atomic<uint64_t> serial{0};
    std::atomic<bool> keep_debug{false};
    bool skipping = false;  // the last message was dropped, and so is what continues it
};

// Never freed: other threads may log while the process ends.
Ring &ring() {
    static Ring *const instance = new Ring;
    return *instance;
}

void append(Ring &target, enum ggml_log_level level, const char *text) {
    const uint64_t newest = target.serial.load(std::memory_order_relaxed);
    if (level == GGML_LOG_LEVEL_CONT && newest > 0) {
        Entry &last = target.entries[newest % kCapacity];
        if (!target.skipping && last.text.size() < sizeof(hr_log_entry::text)) {
            last.text += text;
        }
        return;
    }
    target.skipping = level == GGML_LOG_LEVEL_DEBUG && !target.keep_debug.load();
    if (target.skipping) {
        return;
    }
    Entry &entry = target.entries[(newest + 1) % kCapacity];
    entry.serial = newest + 1;
    entry.call_id = thread_state().call_id;
    entry.level = level;
    entry.text = text;
    target.serial.store(newest + 1, std::memory_order_release);
}

struct Listener {
    LineListener::Function function = nullptr;
    void *user = nullptr;
};

Listener &listener() noexcept {
    thread_local Listener instance;
    return instance;
}

}  // namespace

LineListener::LineListener(Function function, void *user) noexcept {
    listener() = {function, user};
}

LineListener::~LineListener() { listener() = {}; }

void on_log(enum ggml_log_level level, const char *text, void *) {
    // ggml aborts right after these words, and does not repeat them then.
    if (level == GGML_LOG_LEVEL_ERROR && std::strstr(text, "alloc: failed to allocate") != nullptr) {
        thread_state().starved = true;
    }
    try {
        Ring &target = ring();
        const std::lock_guard<std::mutex> held(target.lock);
        append(target, level, text);
    } catch (const std::bad_alloc &) {
        // A lost line of log.
    }
    if (const Listener &present = listener(); present.function != nullptr) {
        present.function(text, present.user);
    }
}

uint64_t log_serial() noexcept { return ring().serial.load(std::memory_order_acquire); }

void reset_log_lock() noexcept { new (&ring().lock) std::mutex; }

}  // namespace hr

extern "C" {

bool hr_log_next(uint64_t after, hr_log_entry *entry) {
    hr::Ring &source = hr::ring();
    const std::lock_guard<std::mutex> held(source.lock);
    const uint64_t newest = source.serial.load(std::memory_order_relaxed);
    if (newest <= after) {
        return false;
    }
    const uint64_t oldest = newest > hr::kCapacity ? newest - hr::kCapacity + 1 : 1;
    const hr::Entry &found = source.entries[std::max(after + 1, oldest) % hr::kCapacity];
    entry->serial = found.serial;
    entry->call_id = found.call_id;
    entry->level = found.level;
    std::snprintf(entry->text, sizeof entry->text, "%s", found.text.c_str());
    return true;
}

uint64_t hr_log_serial(void) { return hr::log_serial(); }

void hr_log_keep_debug(bool keep) { hr::ring().keep_debug.store(keep); }

}  // extern "C"
