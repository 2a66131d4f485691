"""A worker: one runtime with one model in a process of its own, which measures when it is told to.

It stays loaded from round to round and rests while another one measures. Told and answered in
lines of JSON; what libraries write to stdout goes to stderr. Only the standard library is
needed, because each peer has an environment of its own.
"""

from __future__ import annotations

import json
import os
import random
import sys
import threading
import time
import traceback
from collections.abc import Callable
from typing import Any, Protocol

LONGEST = 20.0
"""Seconds after which a measurement ends however few tokens came."""


class Runtime(Protocol):
    """What a worker measures."""

    n_vocab: int

    def generate(self, prompt: list[int], limit: int, on_token: Callable[[], bool]) -> None:
        """Decode greedily as a user would, text included, until told that it is enough.

        Args:
            prompt: Token ids.
            limit: Most tokens.
            on_token: Called for each; whether to go on.
        """


def serve(open_runtime: Callable[..., Runtime]) -> None:
    """Answer what comes on stdin until it ends.

    Args:
        open_runtime: Called with what the first line has.
    """
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    calls: dict[str, Callable[..., Any]] = {}
    for line in sys.stdin:
        asked = json.loads(line)
        name, arguments = asked["call"], asked["arguments"]
        try:
            if name == "open":
                began = time.perf_counter()
                runtime = open_runtime(**arguments)
                answer: Any = time.perf_counter() - began
                calls = Measurements(runtime).calls()
            else:
                answer = calls[name](**arguments)
            told = {"result": answer}
        except Exception:
            told = {"error": traceback.format_exc()}
        print(json.dumps(told), file=answers, flush=True)


class Measurements:
    """What is asked of each runtime in the same way.

    Args:
        runtime: It.
    """

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._draw = random.Random(7)

    def calls(self) -> dict[str, Callable[..., Any]]:
        """What can be asked for; a runtime may have more in ``extra_calls``."""
        more = getattr(self._runtime, "extra_calls", dict)
        return {"decode": self.decode, "prefill": self.prefill, "complete": self.complete, **more()}

    def prompt(self, length: int, common: int = 0) -> list[int]:
        """Random tokens; the first ``common`` are the same each time."""
        highest = self._runtime.n_vocab
        same = random.Random(11)
        head = [same.randrange(3, highest) for _ in range(common)]
        return head + [self._draw.randrange(3, highest) for _ in range(length - common)]

    def decode(
        self, streams: int, seconds: float, settle: float = 0.5, prompt: int = 16, common: int = 0
    ) -> dict[str, float]:
        """Tokens a second of streams that decode at the same time, of all together.

        Args:
            streams: How many.
            seconds: How long they are watched.
            settle: Seconds before, from when all have their first token.
            prompt: Tokens of each prompt.
            common: Of those, how many are the same for all.
        """
        watch = _Watch(streams, seconds, settle)
        prompts = [self.prompt(prompt, common) for _ in range(streams)]

        def run(number: int) -> None:
            self._runtime.generate(prompts[number], 100_000, watch.reader())

        threads = [threading.Thread(target=run, args=(number,)) for number in range(streams)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return watch.result()

    def prefill(self, tokens: int, seconds: float = 0.0) -> dict[str, float]:
        """Tokens a second of a prompt, up to its first token; the median of those in the time.

        Args:
            tokens: Of the prompt.
            seconds: How long prompts are begun; one at least.
        """
        taken = []
        until = time.perf_counter() + seconds
        while not taken or time.perf_counter() < until:
            prompt = self.prompt(tokens)
            began = time.perf_counter()
            self._runtime.generate(prompt, 1, lambda: False)
            taken.append(time.perf_counter() - began)
        return {"rate": tokens / sorted(taken)[len(taken) // 2]}

    def complete(self, new: int, streams: int = 1, prompt: int = 16) -> dict[str, float]:
        """Generations of so many tokens from their beginning to their end.

        Args:
            new: Tokens of each.
            streams: How many at the same time.
            prompt: Tokens of each prompt.
        """
        prompts = [self.prompt(prompt) for _ in range(streams)]
        counts = [0] * streams

        def run(number: int) -> None:
            def count() -> bool:
                counts[number] += 1
                return True

            self._runtime.generate(prompts[number], new, count)

        threads = [threading.Thread(target=run, args=(number,)) for number in range(streams)]
        began = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        taken = time.perf_counter() - began
        return {"rate": sum(counts) / taken, "seconds": taken, "tokens": sum(counts)}


class _Watch:
    """Notes when tokens come, from when all streams have their first one."""

    def __init__(self, streams: int, seconds: float, settle: float) -> None:
        self._streams, self._seconds, self._settle = streams, seconds, settle
        self._all_began = threading.Event()
        self._lock = threading.Lock()
        self._began = 0
        self._from = self._until = self._latest = 0.0
        self._cpu = 0.0
        self._stamps: list[list[float]] = []

    def reader(self) -> Callable[[], bool]:
        """What one stream calls for each token."""
        stamps: list[float] = []
        self._stamps.append(stamps)

        def on_token() -> bool:
            now = time.perf_counter()
            if not stamps:
                self._begin(now)
            stamps.append(now)
            if not self._all_began.is_set() or now < self._until:
                return True
            # A few, however slow they are: a rate needs two steps.
            within = sum(stamp >= self._from for stamp in stamps[-4:])
            return within < 4 and now < self._latest

        return on_token

    def _begin(self, now: float) -> None:
        with self._lock:
            self._began += 1
            if self._began == self._streams:
                self._from = now + self._settle
                self._until = self._from + self._seconds
                self._latest = self._from + LONGEST
                self._cpu = time.process_time()
                self._all_began.set()

    def result(self) -> dict[str, float]:
        """The rate of all streams together."""
        cpu = time.process_time() - self._cpu
        every = sorted(stamp for stamps in self._stamps for stamp in stamps)
        total = sum(stamp >= self._from - self._settle for stamp in every)
        within = [stamp for stamp in every if stamp >= self._from]
        # Only while all are there: the last steps of those that ended later are not full.
        last = max(self._until, min(stamps[-1] for stamps in self._stamps))
        within = [stamp for stamp in within if stamp <= last]
        if len(within) <= self._streams:
            within = every[-2 * self._streams :]
        spent = within[-1] - within[0]
        rate = (len(within) - self._streams) / spent if spent > 0 else 0.0
        return {"rate": rate, "cpu_ms": 1000 * cpu / max(total, 1)}
