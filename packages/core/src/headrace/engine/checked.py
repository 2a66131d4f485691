"""A decoder and its vocabulary, with a look at everything they give.

The engine trusts what comes out of here. A breach of the protocol would
otherwise show far from its cause: as a loop without progress, a token that has
no text, or tokens of one user in the stream of another.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NoReturn, TypeGuard, cast

from headrace.backend.abilities import (
    AdapterDecoder,
    ApartDecoder,
    AppliedAdapter,
    ListsPieces,
    RecalledDecoder,
    ScoreOutcome,
    ScoreRow,
    ScoringDecoder,
    StatefulDecoder,
    TellsMemory,
)
from headrace.backend.decoder import (
    DecoderInfo,
    Row,
    RowResult,
    Sampler,
    SequenceDecoder,
    StepOutcome,
    StepStatus,
    Truncation,
    Vocabulary,
    is_allowed,
)
from headrace.common.seam import Seam
from headrace.errors import DecodeError, HeadraceError
from headrace.params import SamplingParams
from headrace.results import TokenLogprob

if TYPE_CHECKING:
    from headrace.results.machine import DeviceMemory

PATIENCE = 100
"""Calls in a row that may end early, with nobody having asked for it and nothing done."""

_COUNTS = ("n_ctx", "n_ctx_sequence", "n_sequences", "n_batch")


class Reported(Exception):
    """Carries what a decoder has reported past all that may raise in the caller's thread.

    Only what comes in one of these is a failure of the decoder; any other
    exception is the caller's own and leaves everybody else as they were.
    """

    def __init__(self, error: HeadraceError) -> None:
        super().__init__(error)
        self.error = error.kept()


def is_poison(error: HeadraceError) -> TypeGuard[DecodeError]:
    """Whether it is the end of all sessions of the engine."""
    return isinstance(error, DecodeError) and error.poisoned


class CheckedVocabulary:
    """A ``Vocabulary`` whose answers are what the protocol says."""

    def __init__(self, vocabulary: Vocabulary, seam: Seam) -> None:
        with seam.during("vocabulary.n_tokens"):
            self.n_tokens = vocabulary.n_tokens
        if type(self.n_tokens) is not int or self.n_tokens < 1:
            raise seam.breach("vocabulary.n_tokens", f"{self.n_tokens!r:.60} tokens")
        self._vocabulary = vocabulary
        self._seam = seam

    def tokenize(self, text: str, *, add_special: bool, parse_special: bool) -> list[int]:
        """See ``Vocabulary.tokenize``."""
        with self._seam.during("tokenize"):
            tokens = self._vocabulary.tokenize(
                text, add_special=add_special, parse_special=parse_special
            )
        if not isinstance(tokens, list):
            raise self._seam.breach("tokenize", f"{tokens!r:.60} instead of a list")
        self.check(tokens, "tokenize")
        return tokens

    def check(self, tokens: Sequence[int], call: str) -> None:
        """Raise ``BackendProtocolError`` unless these are ids of this vocabulary."""
        wrong = wrong_id(tokens, self.n_tokens)
        if wrong is not None:
            raise self._seam.breach(call, wrong)

    def detokenize(self, tokens: Sequence[int], *, special: bool) -> bytes:
        """See ``Vocabulary.detokenize``."""
        with self._seam.during("detokenize"):
            data = self._vocabulary.detokenize(tokens, special=special)
        if not isinstance(data, bytes):
            raise self._seam.breach("detokenize", f"{data!r:.60} instead of bytes")
        return data

    def piece(self, token: int) -> bytes:
        """See ``Vocabulary.piece``."""
        try:
            data = self._vocabulary.piece(token)
        except BaseException as error:
            self._seam.raise_for("vocabulary.piece", error)
        if type(data) is not bytes:
            raise self._seam.breach("vocabulary.piece", f"{data!r:.60} instead of bytes")
        return data

    def pieces(self) -> Sequence[bytes]:
        """See ``ListsPieces.pieces``; one by one where the vocabulary does not list them."""
        if not isinstance(self._vocabulary, ListsPieces):
            return [self.piece(token) for token in range(self.n_tokens)]
        with self._seam.during("vocabulary.pieces"):
            found = self._vocabulary.pieces()
        if len(found) != self.n_tokens or set(map(type, found)) != {bytes}:
            raise self._seam.breach(
                "vocabulary.pieces", f"{len(found)} pieces of {self.n_tokens} tokens, or not bytes"
            )
        return found

    def is_eog(self, token: int) -> bool:
        """See ``Vocabulary.is_eog``."""
        try:
            return bool(self._vocabulary.is_eog(token))
        except BaseException as error:
            self._seam.raise_for("vocabulary.is_eog", error)


def wrong_id(tokens: Sequence[int], n_tokens: int) -> str | None:
    """What is wrong with the first of these that is no token id; None if all are."""
    if len(tokens) == 1:
        token = tokens[0]
        if type(token) is int and 0 <= token < n_tokens:
            return None
    elif not tokens or (
        set(map(type, tokens)) == {int} and min(tokens) >= 0 and max(tokens) < n_tokens
    ):
        return None
    for index, token in enumerate(tokens):
        if type(token) is not int:
            return f"token {index} is a {type(token).__name__} instead of an int: {token!r:.60}"
        if not 0 <= token < n_tokens:
            return f"token {index} is {token}, outside the vocabulary of {n_tokens} tokens"
    return None


def check_info(decoder: SequenceDecoder, seam: Seam) -> DecoderInfo:
    """The limits of a decoder that was opened, if they make sense.

    Raises:
        BackendProtocolError: If they do not.
    """
    with seam.during("open_decoder"):
        info = decoder.info
    if not isinstance(info, DecoderInfo):
        raise seam.breach("open_decoder", f"its info is {info!r:.60} instead of a DecoderInfo")
    seam.check_numbers("open_decoder", info, _COUNTS, 1)
    limits = ("max_draft", "max_more", "width_multiple", "n_apart")
    seam.check_numbers("open_decoder", info, limits, 0)
    if not isinstance(info.truncation, Truncation):
        raise seam.breach("open_decoder", f"info.truncation is {info.truncation!r:.60}")
    if info.n_apart and not isinstance(decoder, ApartDecoder):
        raise seam.breach("open_decoder", f"n_apart is {info.n_apart}, and it has no open_apart")
    if info.max_more and not isinstance(decoder, RecalledDecoder):
        raise seam.breach("open_decoder", f"max_more is {info.max_more}, and it has no recall")
    return info


class CheckedDecoder:
    """A ``SequenceDecoder`` that gives what the protocol says, or raises ``Reported``.

    Args:
        decoder: What the backend opened.
        n_tokens: Tokens of its vocabulary.
        backend: Its name, for messages.

    Raises:
        BackendProtocolError: If what it says of itself makes no sense.
    """

    def __init__(self, decoder: SequenceDecoder, *, n_tokens: int, backend: str) -> None:
        self.seam = Seam(backend)
        self.info = check_info(decoder, self.seam)
        self.raw = decoder
        self._n_tokens = n_tokens
        self.scores = isinstance(decoder, ScoringDecoder)
        self.keeps_state = isinstance(decoder, StatefulDecoder)
        self.tells_memory = isinstance(decoder, TellsMemory)

    # -- steps --------------------------------------------------------------

    def step(
        self,
        step_id: int,
        rows: Sequence[Row],
        *,
        time_limit: float | None = None,
        span: float = 0.0,
    ) -> StepOutcome:
        """See ``SequenceDecoder.step``, and ``RecalledDecoder.step`` for ``span``."""
        try:
            if span:
                raw = cast(RecalledDecoder, self.raw)
                outcome = raw.step(step_id, rows, time_limit=time_limit, span=span)
            else:
                outcome = self.raw.step(step_id, rows, time_limit=time_limit)
        except BaseException as error:
            self._report("step", error)
        if type(outcome) is not StepOutcome:
            raise self._breach("step", f"{outcome!r:.60} instead of a StepOutcome")
        self._check_outcome(outcome, rows)
        return outcome

    def outcome(self, step_id: int, rows: Sequence[Row]) -> StepOutcome | None:
        """See ``SequenceDecoder.outcome``; the rows are those of the step."""
        outcome = self._call("outcome", self.raw.outcome, step_id)
        if outcome is None:
            return None
        if type(outcome) is not StepOutcome:
            raise self._breach("outcome", f"{outcome!r:.60} instead of a StepOutcome or None")
        self._check_outcome(outcome, rows)
        return outcome

    def _check_outcome(self, outcome: StepOutcome, rows: Sequence[Row]) -> None:
        status = outcome.status
        if status is StepStatus.DONE or status is StepStatus.INTERRUPTED:
            if len(outcome.rows) != len(rows):
                raise self._breach("step", f"{len(outcome.rows)} results for {len(rows)} rows")
        elif type(status) is not StepStatus:
            raise self._breach("step", f"the status {status!r:.60} is no StepStatus")
        elif status is StepStatus.FAILED and not isinstance(
            outcome.error, (HeadraceError, type(None))
        ):
            raise self._breach("step", f"the error {outcome.error!r:.60} is no HeadraceError")

    def flaw(self, row: Row, result: RowResult, status: StepStatus) -> HeadraceError | None:
        """What is wrong with the result of a row: an error for its stream alone, or None."""
        if (
            type(result) is RowResult
            and result.error is None
            and row.sampler is not None
            and row.allowed is None
        ):
            # As nearly every row ends, and with it every token is looked at: in one go.
            tokens = result.tokens
            if (
                len(tokens) == 1
                and type(tokens) is tuple
                and type(tokens[0]) is int
                and 0 <= tokens[0] < self._n_tokens
                and result.length == row.position + len(row.tokens)
                and len(result.logprobs) < 2
            ):
                return None
        what = self._flaw(row, result, done=status is StepStatus.DONE)
        return None if what is None else self.seam.breach("step", what)

    def _flaw(self, row: Row, result: RowResult, *, done: bool) -> str | None:
        if type(result) is not RowResult:
            return f"{result!r:.60} instead of a RowResult"
        length, tokens, given = result.length, result.tokens, len(row.tokens)
        if result.error is not None and not isinstance(result.error, HeadraceError):
            return f"the error {result.error!r:.60} is no HeadraceError"
        if type(length) is not int or type(tokens) is not tuple:
            return f"a length of {length!r:.60} and tokens {tokens!r:.60}"
        most = row.position + given + max(0, len(tokens) - 1)
        if not 0 <= length <= most:
            return f"a memory of {length} tokens where at most {most} can be"
        if tokens:
            return self._wrong_tokens(row, result)
        if not done or result.error is not None:
            return None
        if row.sampler is not None:
            return "the step is done, and no token was sampled"
        if length < most and not row.draft:
            return f"the step is done, and memory has {length} of {most} tokens"
        return None

    def _wrong_tokens(self, row: Row, result: RowResult) -> str | None:
        tokens = result.tokens
        if row.sampler is None:
            return f"{len(tokens)} tokens of a row that has no sampler"
        if len(tokens) > 1 + len(row.draft) + row.n_more:
            return (
                f"{len(tokens)} tokens of a row with a draft of {len(row.draft)} "
                f"that wants {row.n_more} more"
            )
        if (
            len(tokens) > 1
            and not row.n_more
            and tokens[:-1] != tuple(row.draft[: len(tokens) - 1])
        ):
            return "tokens were accepted that are not those of the draft"
        if result.logprobs and len(result.logprobs) != len(tokens):
            return f"{len(result.logprobs)} log-probabilities for {len(tokens)} tokens"
        return wrong_id(tokens, self._n_tokens) or self._refused(row, tokens)

    def _refused(self, row: Row, tokens: tuple[int, ...]) -> str | None:
        """A token that was sampled though the row's masks do not allow it."""
        if row.allowed is None:
            return None
        for place, token in enumerate(tokens):
            if not is_allowed(row.allowed, self._n_tokens, token, place):
                return f"token {token} was sampled, which Row.allowed does not allow"
        return None

    def interrupt(self, step_id: int) -> None:
        """See ``SequenceDecoder.interrupt``. Takes no lock."""
        with self.seam.during("interrupt"):
            self.raw.interrupt(step_id)

    def recall(self, step_id: int) -> None:
        """See ``RecalledDecoder.recall``. Takes no lock."""
        with self.seam.during("recall"):
            cast(RecalledDecoder, self.raw).recall(step_id)

    def new_sampler(
        self, params: SamplingParams, *, seed: int, recent: Sequence[int], ban_eog: bool
    ) -> Sampler:
        """See ``SequenceDecoder.new_sampler``."""
        sampler = self._call(
            "new_sampler",
            lambda: self.raw.new_sampler(params, seed=seed, recent=recent, ban_eog=ban_eog),
        )
        if sampler is None:
            raise self._breach("new_sampler", "None instead of a sampler")
        return cast(Sampler, sampler)

    def use_adapters(self, adapters: Sequence[AppliedAdapter]) -> None:
        """See ``AdapterDecoder.use_adapters``."""
        self._call("use_adapters", cast(AdapterDecoder, self.raw).use_adapters, adapters)

    # -- memory ---------------------------------------------------------------

    def open_apart(self) -> None:
        """See ``ApartDecoder.open_apart``."""
        self._call("open_apart", cast(ApartDecoder, self.raw).open_apart)

    def truncate(self, sequence: int, length: int) -> int:
        """See ``SequenceDecoder.truncate``."""
        return self._length("truncate", length, self.raw.truncate, sequence, length)

    def copy(self, source: int, target: int, length: int) -> int:
        """See ``SequenceDecoder.copy``."""
        return self._length("copy", length, self.raw.copy, source, target, length)

    def shift(self, sequence: int, start: int, stop: int) -> bool:
        """See ``SequenceDecoder.shift``."""
        return bool(self._call("shift", self.raw.shift, sequence, start, stop))

    def clear(self, sequence: int) -> None:
        """See ``SequenceDecoder.clear``."""
        self._call("clear", self.raw.clear, sequence)

    @property
    def state_key(self) -> dict[str, str]:
        """See ``StatefulDecoder.state_key``."""
        with self.seam.during("state_key"):
            return dict(cast(StatefulDecoder, self.raw).state_key)

    def export_state(self, sequence: int) -> memoryview:
        """See ``StatefulDecoder.export_state``."""
        state = self._call("export_state", cast(StatefulDecoder, self.raw).export_state, sequence)
        if not isinstance(state, memoryview):
            raise self._breach("export_state", f"{state!r:.60} instead of a memoryview")
        return state

    def import_state(self, sequence: int, state: memoryview) -> int:
        """See ``StatefulDecoder.import_state``."""
        raw = cast(StatefulDecoder, self.raw)
        return self._length(
            "import_state", self.info.n_ctx_sequence, raw.import_state, sequence, state
        )

    def device_memory(self) -> Sequence[DeviceMemory]:
        """See ``TellsMemory.device_memory``."""
        found = self._call("device_memory", cast(TellsMemory, self.raw).device_memory)
        return cast("Sequence[DeviceMemory]", found)

    # -- scores ---------------------------------------------------------------

    @property
    def score_limit(self) -> int:
        """See ``ScoringDecoder.score_limit``."""
        limit = cast(ScoringDecoder, self.raw).score_limit
        if type(limit) is not int or limit < 1:
            raise self._breach("score", f"score_limit is {limit!r:.60}")
        return limit

    def score(self, step_id: int, row: ScoreRow) -> ScoreOutcome:
        """See ``ScoringDecoder.score``."""
        outcome = self._call("score", cast(ScoringDecoder, self.raw).score, step_id, row)
        if type(outcome) is not ScoreOutcome:
            raise self._breach("score", f"{outcome!r:.60} instead of a ScoreOutcome")
        if type(outcome.status) is not StepStatus:
            raise self._breach("score", f"the status {outcome.status!r:.60} is no StepStatus")
        most = row.position + len(row.tokens)
        if type(outcome.length) is not int or not 0 <= outcome.length <= most:
            raise self._breach("score", f"a memory of {outcome.length!r:.60} of {most} tokens")
        if outcome.status is StepStatus.DONE:
            self._check_scored(row, outcome)
        return outcome

    def _check_scored(self, row: ScoreRow, outcome: ScoreOutcome) -> None:
        found = outcome.logprobs
        if len(found) != len(row.targets) or not all(type(x) is TokenLogprob for x in found):
            raise self._breach(
                "score", f"{len(found)} log-probabilities for {len(row.targets)} targets"
            )
        if outcome.length < row.position + len(row.tokens):
            raise self._breach("score", f"the call is done, and memory has {outcome.length} tokens")

    # -- the end ----------------------------------------------------------------

    def close(self) -> None:
        """Free the context.

        Raises:
            HeadraceError: If the backend fails to.
        """
        with self.seam.during("close"):
            self.raw.close()

    # -- all of them --------------------------------------------------------------

    def _call(self, name: str, function: Any, *arguments: Any) -> Any:
        try:
            return function(*arguments)
        except BaseException as error:
            self._report(name, error)

    def _length(self, name: str, most: int, function: Any, *arguments: Any) -> int:
        found = self._call(name, function, *arguments)
        if type(found) is not int or not 0 <= found <= most:
            raise self._breach(name, f"a length of {found!r:.60} where at most {most} can be")
        return found

    def _report(self, call: str, error: BaseException) -> NoReturn:
        """Raise an exception as it is if it is the caller's, else a report of it."""
        failure = self.seam.blame(call, error, DecodeError)
        if failure is None:
            raise error
        raise Reported(failure) from error

    def _breach(self, call: str, what: str) -> Reported:
        return Reported(self.seam.breach(call, what))

    def stuck(self, call: str) -> HeadraceError:
        """The error for a call that is made again and again without getting anywhere."""
        return self.seam.breach(
            call, f"{PATIENCE} calls in a row ended early without any progress, asked by nobody"
        )
