"""What all tests need of the process they run in."""

from __future__ import annotations

import signal

# A shell's background job ignores Ctrl-C, and so do Pythons started in it; the
# tests that send it expect what Python does with it otherwise.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
