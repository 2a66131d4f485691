"""Closes and drops a model, a session and a stream in every order; run as a script.

Arguments: the name of a target, and how to end. Must print nothing and end with 0.
"""

from __future__ import annotations

import gc
import itertools
import sys
import threading
import warnings

import headrace
from headrace import HeadraceError, SamplingParams
from tests.contract.targets import TARGETS

warnings.simplefilter("ignore", ResourceWarning)  # dropping without closing is the point
GREEDY = SamplingParams(temperature=0.0)


def things(target):
    """A model, a session and a stream in the middle of a generation."""
    model = target.load()
    session = model.open_session()
    stream = session.generate("Hello", sampling=GREEDY, ignore_eog=True)
    next(stream)
    return {"model": model, "session": session, "stream": stream}


def end(held, name, how):
    """End one of them; an error for a call on what its parent has closed is right."""
    if how == "drop":
        del held[name]
        gc.collect()
        return
    for _ in range(2 if how == "twice" else 1):
        held[name].close()


def some(target, combinations):
    """All of them, or every seventh where each load takes a process of its own."""
    return itertools.islice(combinations, 0, None, 7 if target.isolated else 1)


def every_order(target):
    """All permutations, each with closing, closing twice, dropping and a mix."""
    names = ("model", "session", "stream")
    for order in itertools.permutations(names):
        for hows in some(target, itertools.product(("close", "twice", "drop"), repeat=3)):
            held = things(target)
            for name, how in zip(order, hows, strict=True):
                end(held, name, how)
            del held
            gc.collect()


def adapters_in_every_order(target):
    """All permutations with an adapter and a control vector in use."""
    names = ("model", "session", "stream", "adapter", "vector")
    for number, order in some(target, enumerate(itertools.permutations(names))):
        for how in (("close", "drop")[number % 2],):
            model = target.load()
            held = {
                "model": model,
                "adapter": model.load_adapter(target.adapter(1)),
                "vector": model.load_control_vector(target.vector(1)),
            }
            del model
            params = headrace.SessionParams(
                adapters=[held["adapter"]], control_vectors=[held["vector"]]
            )
            held["session"] = held["model"].open_session(params)
            held["stream"] = held["session"].generate("Hello", sampling=GREEDY, ignore_eog=True)
            next(held["stream"])
            del params
            for name in order:
                end(held, name, how)
            del held
            gc.collect()


def after_errors(target):
    """The same after calls that failed."""
    for name in ("model", "session", "stream"):
        held = things(target)
        for call in (
            lambda held=held: held["session"].generate("again"),
            lambda held=held: held["session"].generate([-1]),
            lambda held=held: held["model"].detokenize([-1]),
            lambda held=held: held["stream"].result,
        ):
            try:
                call()
            except HeadraceError:
                continue
            raise AssertionError("should have failed")
        end(held, name, "close")
        del held
        gc.collect()


def alive_at_exit(target):
    """Nothing is closed; names stay bound until the interpreter ends."""
    globals()["kept"] = [things(target) for _ in range(3)]
    for held in globals()["kept"]:
        held["adapter"] = held["model"].load_adapter(target.adapter(1))
        params = headrace.SessionParams(adapters=[held["adapter"]])
        held["changed"] = held["model"].open_session(params)
        next(held["changed"].generate("Hello", sampling=GREEDY, ignore_eog=True))


def in_a_cycle_at_exit(target):
    """Nothing is closed, and the last collection finds them."""
    held = things(target)
    held["itself"] = held


def read_by_a_daemon_thread(target):
    """A thread is inside a step when the interpreter ends."""
    model = target.load(n_ctx=4096)
    began = threading.Event()

    def read():
        while True:
            with model.open_session() as session:
                for _ in session.generate("Hello", sampling=GREEDY, ignore_eog=True):
                    began.set()

    threading.Thread(target=read, daemon=True).start()
    began.wait()


def with_an_error_on_its_way(target):
    """The program ends because of an exception in the middle of a stream."""
    held = things(target)
    sys.excepthook = lambda *error: None
    for _ in held["stream"]:
        raise headrace.UsageError("the end")


if __name__ == "__main__":
    name, scenario = sys.argv[1:]
    globals()[scenario](next(target for target in TARGETS if target.name == name))
