"""What the engine keeps: each sequence, the record of each running generation, and what is one.

The decoder's memory is a cache of the history and may be dropped at any time the sequence is not
in the running step; it is then rebuilt from ``Sequence.line``. Two things guard what stands here:

- The *mutex* guards the Python state and is held for microseconds.
- The *role* of driver (``role.py``) guards the decoder, and what says what is in its memory. It is
  held for one step, or for one call beside steps. Whoever holds it takes the mutex as well, but for
  the native call itself.

Finalizers and signal handlers take neither, since they may run inside of both: they make one store,
or append to a deque, and whoever drives next carries it out.
"""

from __future__ import annotations

import threading
import time
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Mapping
from collections.abc import Sequence as Tokens
from typing import TYPE_CHECKING

import attrs

from headrace.backend.decoder import DecoderInfo, Row, Sampler, Truncation
from headrace.engine.checked import CheckedDecoder, CheckedVocabulary
from headrace.engine.drafters import Drafter
from headrace.engine.judgement import Judge
from headrace.engine.line import Line, common_prefix
from headrace.engine.pacing import FIRST, FIRST_LOOKED_UP, Pace
from headrace.engine.tally import Tally
from headrace.engine.waiting import ThreadWaiter, Waiter
from headrace.errors import HeadraceError
from headrace.params import EngineParams, SamplingParams, SessionParams
from headrace.params.adapters import Use
from headrace.params.engine import LOOKAHEAD
from headrace.params.speculation import PromptLookup
from headrace.results import ModelInfo, StopReason, TokenLogprob
from headrace.streams.generation import GenerationReport

if TYPE_CHECKING:
    from headrace.masks.matcher import Matcher


@attrs.frozen(eq=False)
class StoredMemory:
    """A memory outside the decoder, to be read back when its sequence runs again."""

    tokens: list[int]
    """What it holds."""
    data: memoryview
    """The decoder's own form of it."""
    adapters: tuple[Use, ...] = ()
    """What it was computed with."""


@attrs.define(eq=False)
class Sequence:
    """State of one session inside the engine; changed under the engine's mutex only."""

    params: SessionParams
    line: Line = attrs.field(factory=Line)
    """The history; during a generation followed by its prompt and the tokens it produced."""
    resident: list[int] = attrs.field(factory=list)
    """Tokens in the decoder's memory, in order."""
    stored: StoredMemory | None = None
    """Put into the decoder before anything is computed, instead of ``resident``."""
    resident_adapters: tuple[Use, ...] = ()
    """What ``resident`` was computed with: of no use with others."""
    slot: int | None = None
    """The sequence number the decoder knows it by; None: not in memory."""
    seated_at: int = 0
    """Step at which it got its slot."""
    produced_when_seated: int = 0
    """New tokens its generation had produced then."""
    last_step: int = 0
    """Last step it took part in, or the step at which it began to wait."""
    in_line: bool = False
    """Whether ``resident`` is known to be the beginning of ``line``."""
    cuts: list[int] = attrs.field(factory=list)
    """Lengths at which native calls ended. A prefill cut differently gives logits that
    differ in the last bits, so a reproducible session repeats its cuts."""
    resident_dropped: int = 0
    """How many of the line's tokens had been forgotten when ``resident`` was in line."""
    generation: Run | None = None
    """The one that is under way."""
    room: int = 0
    """Most tokens that its line may have."""
    width: int = 1
    """Tokens that its native calls have at least; of a reproducible session, else 1."""
    drafter: Drafter | None = None
    max_draft: int = 0
    """Most tokens its drafter is asked for."""
    proposal: Proposal | None = None
    """What it proposed last."""
    draftless: bool = False
    """Whether its drafter has failed."""
    cramped: bool = False
    """Whether it was cut where memory was full, which is no matter of its calls alone."""
    carry: bytes = b""
    """Bytes of remembered tokens whose text the last reader did not get."""
    failure: HeadraceError | None = None
    """Why the sequence is unusable for good: closed, or its context was poisoned."""

    @property
    def reproducible(self) -> bool:
        """Whether it is never batched with others and keeps its cuts."""
        return self.params.reproducible

    def disturbed(self, info: DecoderInfo) -> str:
        """Why what a reproducible one computes may come out otherwise, empty if it cannot."""
        if not info.reproduces:
            return "the backend keeps its memory among that of other sessions"
        return "memory was full, so its prompt was cut where room was left" if self.cramped else ""

    @property
    def adapters(self) -> tuple[Use, ...]:
        """The adapters and control vectors it is computed with."""
        return self.params.uses

    def check_adapters(self) -> None:
        """Raise ``ClosedError`` if one of them was closed."""
        for use in self.adapters:
            use.handle.check_open()

    @property
    def batch_key(self) -> object:
        """Only sequences with equal keys share a native call; a reproducible one has its own."""
        return self if self.reproducible else self.adapters

    def keepable(self) -> int:
        """How much of ``resident`` agrees with ``line``, leaving at least one token to run."""
        length = min(common_prefix(self.resident, self.line), max(0, len(self.line) - 1))
        if self.reproducible:
            at = bisect_right(self.cuts, length)
            length = self.cuts[at - 1] if at else 0
        return length

    def chunk_end(self, limit: int) -> int:
        """Where the next native call for this sequence ends, at most ``limit`` tokens on."""
        start = len(self.resident)
        end = min(len(self.line), start + limit)
        if self.reproducible:
            at = bisect_right(self.cuts, start)
            if at < len(self.cuts):
                end = min(end, self.cuts[at])
                # Calls that were no wider than the width can be put together up to it.
                most = start + min(self.width, limit)
                while at < len(self.cuts) and self.cuts[at] <= most:
                    end = self.cuts[at]
                    at += 1
            if end == len(self.line) and 1 < end - start <= self.width:
                # How many logits a call computes changes their last bits too: where the call
                # is as wide as all others, the last token has as many behind it as always.
                end -= 1
        return end

    def record_cut(self, start: int, length: int) -> None:
        """Note that a native call began and ended here.

        In a call no wider than the width, which is filled up to it, it makes no difference
        where the line is cut: any place in it is as good.
        """
        if self.reproducible:
            first = start + 1 if length - start <= self.width else length
            at = bisect_right(self.cuts, first - 1)
            self.cuts[at : bisect_right(self.cuts, length)] = range(first, length + 1)

    def forgettable(self, spare: int) -> int:
        """Tokens a full context may forget: half of those not kept, and none of the last."""
        if self.params.on_context_full != "shift":
            return 0
        return max(0, (len(self.line) - self.params.keep - spare) // 2)

    def shift_out(self, count: int) -> None:
        """Forget that many tokens after those that are kept; memory follows later."""
        keep, line = self.params.keep, self.line
        self.in_line = False
        self.line = Line(line[:keep] + line[keep + count :], line.dropped + count)

    def forget_after(self, length: int) -> None:
        """Cut the history; memory follows before the next step."""
        del self.line[length:]
        # A cut beyond the history could not be replayed: its tokens are gone.
        del self.cuts[bisect_right(self.cuts, length) :]
        self.cramped = self.cramped and length > 0
        self.in_line = False

    def take_slot(self, slot: int, step: int) -> None:
        """Begin with an empty memory."""
        self.unseat()
        self.slot = slot
        self.seated_at = step
        self.produced_when_seated = self.generation.produced if self.generation else 0

    def unseat(self) -> None:
        """Give up the slot; what was in memory will be rebuilt."""
        self.slot = None
        self.resident = []
        self.in_line = False


@attrs.frozen(eq=False)
class Proposal:
    """Tokens that may follow a line."""

    generation: Run
    produced: int
    """Tokens of the generation that the line had then."""
    tokens: tuple[int, ...]

    def answers(self, generation: Run) -> bool:
        """Whether it is for the generation as it stands."""
        return self.generation is generation and self.produced == generation.produced


@attrs.define(eq=False, kw_only=True)
class Run:
    """The record of a generation.

    Changed under the mutex, but for ``interrupted``, which goes from None to a reason once and
    never back, ``wanted`` and ``carry``, which are its reader's.
    """

    sequence: Sequence
    prompt_tokens: int
    """Tokens of its prompt."""
    sampling: SamplingParams
    seed: int
    max_tokens: int | None
    ignore_eog: bool
    spoken: Mapping[int, bytes]
    """Control tokens whose text the reader asked for."""
    beginning: object
    """Stands for the call that has begun it, until the caller has a stream."""
    base: int = attrs.field()
    """Tokens before it, counted from the first there ever was, see ``Line.dropped``."""
    start: int = attrs.field()
    """Tokens before those that it produces, counted in the same way."""
    adapters: tuple[Use, ...] = attrs.field()
    """What the sequence was to be computed with when it began."""
    carry: bytes = attrs.field()
    """Bytes of tokens that the reader has seen whose text it has not."""
    matcher: Matcher | None = None
    """What keeps its output to a grammar; the role's."""
    n_refused: int = 0
    """Draws that its grammar refused, of those that were made before it was asked."""
    masked_until: int = 0
    """How many tokens it has to have produced before the next such draw."""
    sampler: Sampler | None = None
    waiter: Waiter | None = None
    """How its reader waits, or did so last."""
    wanted: bool = False
    """Whether its reader waits."""
    interrupted: StopReason | None = None
    error: HeadraceError | None = None
    end: StopReason | None = None
    report: GenerationReport | None = None
    """Set when it was settled: nobody reads it any more."""
    produced: int = 0
    """New tokens; at least as many as were pulled."""
    pulled: int = 0
    """New tokens that its reader took; at least as many as were seen."""
    seen: int = 0
    """New tokens that were shown."""
    logprobs: list[TokenLogprob] = attrs.field(factory=list)
    """Of all tokens produced, or empty if not asked for."""
    processed: int = attrs.field()
    """How much of its prompt was in memory at any time, counted as ``base`` is."""
    cached: int | None = None
    """Tokens in memory when it first took part in a step."""
    pace: Pace = attrs.field()
    last_step: int = 0
    """Last step that was counted."""
    fruitless: int = 0
    """Steps in a row that ended by themselves and did nothing for it."""
    tally: Tally = attrs.field(factory=Tally)

    @base.default
    def _here(self) -> int:
        return self.sequence.line.dropped + len(self.sequence.line)

    @start.default
    def _behind_the_prompt(self) -> int:
        return self.base + self.prompt_tokens

    @adapters.default
    def _of_the_sequence(self) -> tuple[Use, ...]:
        return self.sequence.adapters

    @carry.default
    def _left_over(self) -> bytes:
        return b"" if self.prompt_tokens else self.sequence.carry

    @processed.default
    def _nothing_new(self) -> int:
        return self.base

    @pace.default
    def _first_pace(self) -> Pace:
        looked_up = isinstance(self.sequence.params.speculate, PromptLookup)
        return Pace(most=self.sequence.max_draft, first=FIRST_LOOKED_UP if looked_up else FIRST)

    @property
    def over(self) -> bool:
        """Whether no further step is wanted."""
        return (
            self.interrupted is not None
            or self.end is not None
            or self.error is not None
            or self.report is not None
        )

    @property
    def ready(self) -> bool:
        """Whether a pull would bring something at once."""
        return self.over or self.produced > self.pulled

    def put(self, at: int, tokens: Tokens[int]) -> None:
        """Have these be what it has produced from an index of the line on; again is as once."""
        line = self.sequence.line
        line[at:] = tokens
        self.produced = line.dropped + len(line) - self.start
        if self.tally.first_token_at is None:
            self.tally.first_token_at = time.monotonic()

    @property
    def is_enough(self) -> bool:
        """Whether it has produced as many tokens as were wanted."""
        return self.max_tokens is not None and self.produced >= self.max_tokens

    def found_in_memory(self, length: int) -> None:
        """Note how much of the line is in memory, at first from earlier generations."""
        if self.cached is None:
            self.cached = length
        processed = self.sequence.line.dropped + length
        self.processed = max(self.processed, min(processed, self.start))

    def remembered(self) -> int:
        """Length of the history as the reader knows it at this moment."""
        if self.produced or self.end is not None:
            end = self.start + self.seen
        else:
            end = max(self.base, self.processed)
        return end - self.sequence.line.dropped

    @property
    def prompt_end(self) -> int:
        """Index in the line at which its prompt ends."""
        return self.start - self.sequence.line.dropped

    @property
    def forgettable(self) -> int:
        """Tokens that may be forgotten when the context is full; none that are still unread."""
        return self.sequence.forgettable(self.produced - self.seen + 1)


@attrs.define(eq=False)
class PlannedRow:
    """A row, and whom its result belongs to."""

    sequence: Sequence
    generation: Run
    line_length: int
    """Length of the line when the row was planned: where a sampled token goes."""
    row: Row
    proposed: int = 0
    """Tokens of the row's draft that a drafter proposed; what follows them fills up a width."""
    forced: int = 0
    """Tokens at the row's end that its grammar left no choice of."""
    drawn_first: bool = False
    """Whether its grammar is asked about what was sampled, instead of before."""

    @property
    def prefills(self) -> bool:
        """Whether it runs more than the one token that decoding does."""
        return len(self.row.tokens) - self.forced > 1


@attrs.define(eq=False)
class Step:
    """A step that was begun; it is over when its outcome has been handed out."""

    step_id: int
    rows: list[PlannedRow]
    adapters: tuple[Use, ...] = ()
    """What its sequences are computed with, all of them with the same; noted here because an
    idle session may be given others while the step runs."""
    seconds: float = 0.0
    n_turns: int = 1
    """How often it has computed and sampled, as far as anything came of it."""
    ended_by_itself: bool = False
    """Whether its call returned, and was given no time limit."""

    @property
    def unwanted(self) -> bool:
        """Whether every generation in it is over: the step may be interrupted."""
        return False not in [planned.generation.over for planned in self.rows]

    @property
    def goes_on(self) -> bool:
        """Whether it may take more than one turn, until it is recalled."""
        return self.rows[0].row.n_more > 0 if self.rows else False

    @property
    def n_tokens(self) -> int:
        """Tokens that it computes in its first turn."""
        return sum(len(each.row.tokens) + len(each.row.draft) for each in self.rows)

    @property
    def sequences(self) -> list[Sequence]:
        """Whose rows it carries."""
        return [planned.sequence for planned in self.rows]


class EngineState:
    """All that the parts of one engine share.

    Args:
        decoder: What computes; the role's.
        vocabulary: What its tokens mean.
        model_info: Whose they are.
        params: Settings of the engine.
    """

    def __init__(
        self,
        decoder: CheckedDecoder,
        vocabulary: CheckedVocabulary,
        model_info: ModelInfo,
        params: EngineParams,
    ) -> None:
        self.decoder = decoder
        self.info = decoder.info
        self.vocabulary = vocabulary
        self.model_info = model_info
        # Where memory cannot forget its end, one unread token is already one too many
        # for a cancel to be cheap; more would make every cancel a rebuild.
        if self.info.truncation is Truncation.NONE:
            self.lookahead = 1
        else:
            self.lookahead = params.lookahead or LOOKAHEAD
        self.lookahead_varies = self.lookahead > 1 and params.lookahead is None
        # Reentrant so that a finalizer or signal handler can tell that it
        # interrupted the engine itself (``held_here``) and leave a request.
        self.mutex = threading.RLock()

        # Changed under the mutex. ``failure`` and ``closing`` are looked at without it, too.
        self.failure: HeadraceError | None = None
        self.sequences: dict[Sequence, None] = {}
        self.active: dict[Sequence, None] = {}
        """Those with a generation."""
        self.speculating: dict[Sequence, None] = {}
        """Those with a drafter."""
        self.worker = False
        """Whether a thread drives for tasks."""
        self.closing: Callable[[], None] | None = None
        """What is to be called when the decoder was freed; None: nobody closes, or all is done."""
        self.closed = False

        # The driver's. ``running`` and ``proposing`` are looked at by whoever interrupts.
        self.step_id = 0
        self.begun: Step | None = None
        """A step whose outcome was not handed out yet."""
        self.running: Step | None = None
        """The same while the decoder is at work."""
        self.proposing: tuple[Drafter, Run, Run] | None = None
        """A drafter at work, for which generation, and which one's reader drives."""
        self.adapters: tuple[Use, ...] | None = ()
        """What the decoder computes with; None: not known."""
        self.step_seconds = 0.0
        """What the last step took."""
        self.judge = Judge()

        # Requests: appended to anywhere and without a lock, carried out by the driver.
        self.dropped: deque[Sequence] = deque()
        self.old_samplers: deque[Sampler | Drafter] = deque()

        # Waking takes no lock.
        self.worker_waiter = ThreadWaiter()
        self.closer = ThreadWaiter()

    def check_usable(self) -> None:
        """Raise why the engine is unusable, if it is."""
        if self.failure is not None:
            raise self.failure.again()
