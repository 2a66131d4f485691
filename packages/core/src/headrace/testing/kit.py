"""``Subject``, what is tested, and ``Kit``, what the rules work with."""

from __future__ import annotations

import contextlib
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import attrs

from headrace.backend.backend import Backend
from headrace.errors import UnsupportedError
from headrace.loading.choose import choose_backend
from headrace.loading.load import load_model
from headrace.model import Model
from headrace.params import EngineParams, ModelParams, SamplingParams, SessionParams
from headrace.results import Completion
from headrace.session import Session
from headrace.streams.tokens import TokenStream
from headrace.testing.limits import within

_T = TypeVar("_T")
_E = TypeVar("_E", bound=BaseException)
_CLOSE_SECONDS = 10.0


class Violation(AssertionError):
    """A rule is not kept."""


class NotApplicable(Exception):
    """The rule asks for something that this backend never does; says what."""


@attrs.frozen(kw_only=True)
class Subject:
    """A backend with a model to test it on."""

    backend: str | Backend
    """Name of an installed backend, or an object."""
    model: str
    """Reference of a model that writes at least 32 tokens after ``prompt``: a small one, since
    it is loaded a few dozen times."""
    params: ModelParams = attrs.field(factory=ModelParams)
    """How it is loaded."""
    engine: EngineParams = attrs.field(factory=lambda: EngineParams(n_ctx=512, n_threads=1))
    """Settings of the engine, changed by rules that need a smaller context, or more sequences."""
    sampling: SamplingParams = attrs.field(factory=lambda: SamplingParams(temperature=0.0))
    """How tokens are chosen where a rule does not care."""
    prompt: str = "Once upon a time"
    """What generations begin with."""
    missing_model: str = "/no/such/folder/no-such-model.gguf"
    """Reference of a model that is not there."""
    damaged_model: str | None = None
    """Reference of a damaged model; None: damage is not tested."""
    adapter: str | None = None
    """Path of a LoRA adapter of the model that changes what it writes."""
    chat_options: Mapping[str, Any] = attrs.field(factory=dict)
    """Keywords for ``session.chat``, such as a template for a model that has none."""
    pooling: str | None = "mean"
    """For ``embed``."""
    examples: int = 20
    """Examples of each property test."""
    most_buffered: int = 16
    """Tokens that a stream may hold for a reader who does not read."""
    ignore_eog: bool | None = None
    """Whether the backend takes ``ignore_eog=True``; None: it is tried. Where it does not, rules
    do without, and those that need streams without an end do not apply."""
    ending_prompt: str | None = None
    """A prompt after which the model, greedy, ends by itself within 32 tokens. None: an end is
    looked for at a high temperature, and may not be found in a large vocabulary."""
    tie: float = 0.0
    """Two log-probabilities that are nearer to each other than this may change places where a
    batch of another size is computed with other kernels; 0: the same tokens always."""
    shifts_exactly: bool = False
    """Whether a shifted memory is what a new one with the same tokens is."""
    interrupt_seconds: float = 10.0
    """Seconds within which a cancel and a time-out end a stream, even inside of a step."""
    rule_seconds: float = 120.0
    """Time limit of each rule. What is overdue is left behind, and fails."""


class Kit:
    """What a rule is given: the subject, and short ways to load, to talk and to complain."""

    def __init__(self, subject: Subject) -> None:
        self.subject = subject
        self.notes: dict[str, float] = {}
        self.unloadable: str | None = None
        """Why the model cannot be loaded; None while that is not known."""
        self._model: Model | None = None
        self._ignores: bool | None = subject.ignore_eog

    # -- having models and sessions -----------------------------------------

    @property
    def backend(self) -> Backend:
        """The backend itself."""
        return choose_backend(self.subject.backend, self.subject.model)

    @property
    def model(self) -> Model:
        """A loaded model that the rules share; none of them closes it."""
        if self._model is None:
            self._model = self.load()
        return self._model

    def load(
        self, *, progress: Callable[[float], bool | None] | None = None, **engine: Any
    ) -> Model:
        """Load the model anew, with some settings of the engine changed."""
        return load_model(
            self.subject.model,
            backend=self.subject.backend,
            params=self.subject.params,
            engine=attrs.evolve(self.subject.engine, **engine),
            progress=progress,
        )

    def session(self, **params: Any) -> Session:
        """A new session of the shared model."""
        return self.model.open_session(SessionParams(**params))

    def forget_model(self) -> None:
        """Close the shared model; the next rule that wants one loads it again.

        One that cannot be closed, as something hangs in it, is left behind.
        """
        model, self._model = self._model, None
        if model is not None:
            with contextlib.suppress(Exception):
                within(min(_CLOSE_SECONDS, self.subject.rule_seconds), model.close, "closing")

    @property
    def ignores_eog(self) -> bool:
        """Whether a generation can be kept from ending by itself."""
        if self._ignores is None:
            with self.session() as session:
                try:
                    session.generate(self.subject.prompt, max_tokens=1, ignore_eog=True).close()
                except UnsupportedError:
                    self._ignores = False
                else:
                    self._ignores = True
        return self._ignores

    # -- talking -----------------------------------------------------------

    def arguments(
        self, prompt: Any, n: int | None, more: dict[str, Any]
    ) -> tuple[Any, dict[str, Any]]:
        """Prompt and keywords for ``generate``."""
        prompt = self.subject.prompt if prompt is Ellipsis else prompt
        return prompt, {
            "sampling": self.subject.sampling,
            "max_tokens": n,
            "ignore_eog": self.ignores_eog,
            **more,
        }

    def say(self, session: Session, prompt: Any = ..., n: int = 8, **more: Any) -> Completion:
        """A completion of so many tokens."""
        prompt, keywords = self.arguments(prompt, n, more)
        return session.complete(prompt, **keywords)

    def stream(
        self, session: Session, prompt: Any = ..., n: int | None = None, **more: Any
    ) -> TokenStream:
        """A stream without an end of its own, unless one is asked for or must be taken."""
        prompt, keywords = self.arguments(prompt, n, more)
        return session.generate(prompt, **keywords)

    # -- telling -----------------------------------------------------------

    def note(self, name: str, value: float) -> None:
        """A figure for the report: reported, never judged."""
        self.notes[name] = value


def expect(condition: object, told: str) -> None:
    """Complain unless the condition holds."""
    if not condition:
        raise Violation(told)


def expect_equal(found: object, wanted: object, what: str) -> None:
    """Complain unless both are equal."""
    expect(found == wanted, f"{what}: got {found!r:.300}, want {wanted!r:.300}")


def expect_error(
    kinds: type[_E] | tuple[type[_E], ...], call: Callable[[], object], what: str, said: str = ""
) -> _E:
    """Complain unless the call raises one of these errors, with these words in its message."""
    allowed: Sequence[type[_E]] = kinds if isinstance(kinds, tuple) else (kinds,)
    names = " or ".join(kind.__name__ for kind in allowed)
    try:
        returned = call()
    except tuple(allowed) as error:
        expect(
            said.lower() in str(error).lower(),
            f"{what}: the message of {type(error).__name__} has no {said!r}: {error}",
        )
        return error
    except Exception as error:
        raise Violation(f"{what}: raised {type(error).__name__} ({error}), not {names}") from error
    raise Violation(f"{what}: raised nothing and returned {returned!r:.100}; {names} was due")


def described(error: BaseException) -> str:
    """An error as one line, with what hypothesis found out about it."""
    notes = [note for note in getattr(error, "__notes__", ()) if "reproduce" not in note]
    told = str(error) if isinstance(error, Violation) else f"{type(error).__name__}: {error}"
    return " ".join(" ".join([told, *notes]).split())


def traced(error: BaseException) -> str:
    """The whole traceback."""
    return "".join(traceback.format_exception(error))


@contextlib.contextmanager
def closing_all(*handles: Any) -> Iterator[None]:
    """Close these whatever happens."""
    try:
        yield
    finally:
        for handle in handles:
            handle.close()
