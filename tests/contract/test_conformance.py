"""The conformance kit, as a third party would use it, on every backend there is."""

from __future__ import annotations

import os

from headrace import ModelParams
from headrace.testing import BackendConformance, Subject
from headrace_fake import FakeBackend

TEMPLATE = (
    "{% for m in messages %}{{ m.role }}: {{ m.content }}{{ eos_token }}\n{% endfor %}"
    "{% if add_generation_prompt %}assistant: {% endif %}"
)
BY_OBJECT = {"discovery.found": "the tests make the backend themselves, with options"}


class TestFake(BackendConformance):
    """By its name, as installed."""

    backend_name = "fake"
    model = "fake:#mean_length=0"
    adapter = "fake:#seed=1"
    shifts_exactly = True


class TestFakeWindow(BackendConformance):
    """A memory that forgets only its last few tokens."""

    backend_name = FakeBackend(mean_length=0, truncation="recent", reach=8)
    model = "fake:"
    adapter = "fake:#seed=1"
    shifts_exactly = True
    skip_rules = BY_OBJECT


class TestFakeRecurrent(BackendConformance):
    """A memory that forgets nothing or everything, and cannot be copied."""

    backend_name = FakeBackend(mean_length=0, truncation="none", can_copy=False)
    model = "fake:"
    adapter = "fake:#seed=1"
    shifts_exactly = True
    skip_rules = BY_OBJECT


if os.environ.get("HEADRACE_TEST_LLAMACPP") == "1":

    class TestFakeInAProcess(BackendConformance):
        """The same waist, in a child process."""

        backend_name = "fake"
        model = "fake:#mean_length=0"
        adapter = "fake:#seed=1"
        shifts_exactly = True
        params = ModelParams(isolation="process")
        examples = 5
        skip_rules = {  # noqa: RUF012
            "load.progress_cancels": "a load that is over before the answer comes is not undone",
            "load.progress_raises": "nor is one that is over before what was raised comes",
        }

    class _LlamaCpp(BackendConformance):
        backend_name = "llamacpp"
        kind = "attention"
        chat_options = {"template": TEMPLATE}  # noqa: RUF012
        tie = 0.02

        @classmethod
        def subject(cls) -> Subject:
            """With files that are made when they are needed."""
            from tests.support import tiny_adapters, tiny_gguf

            cls.model = str(tiny_gguf.path(cls.kind))
            cls.adapter = str(tiny_adapters.lora(cls.kind, 1))
            damaged = tiny_gguf.new_file(f"{cls.kind}-damaged.gguf")
            damaged.write_bytes(tiny_gguf.path(cls.kind).read_bytes()[:5000])
            cls.damaged_model = str(damaged)
            return super().subject()

    class TestLlamaCppAttention(_LlamaCpp):
        """A transformer."""

    class TestLlamaCppWindow(_LlamaCpp):
        """A sliding window."""

        kind = "window"

    class TestLlamaCppRecurrent(_LlamaCpp):
        """A recurrent network."""

        kind = "recurrent"
