"""Drafts: who gets one before the next step, and how it becomes part of a row.

Proposing may take long, so it is done by the driver outside the mutex, and its
outcome is noted in the sequence with what it is for. The planner uses it if
that is still so. Nothing depends on it: a draft is only ever a guess.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence as Tokens

import attrs

from headrace.backend.decoder import DecoderInfo, StepOutcome, Vocabulary
from headrace.common.seam import is_callers
from headrace.engine import fairness
from headrace.engine.checked import Reported
from headrace.engine.drafters import Drafter, LookupDrafter
from headrace.engine.judgement import LONGEST, JudgedDrafter, Situation
from headrace.engine.state import EngineState, Proposal, Run, Sequence, Step
from headrace.errors import ParamsError, UnsupportedError
from headrace.params import SessionParams
from headrace.params.speculation import AUTO, MAX_DRAFT, DraftModel, PromptLookup

_log = logging.getLogger("headrace")


@attrs.define(eq=False)
class Request:
    """A draft that is wanted."""

    generation: Run
    drafter: Drafter
    line: list[int]
    limit: int
    produced: int

    def fulfil(self, vocabulary: Vocabulary, driving: Run, deadline: float | None) -> None:
        """Have the tokens proposed, and note them in the sequence."""
        sequence = self.generation.sequence
        began = time.monotonic()

        def over() -> bool:
            return self.generation.over or driving.over

        tokens: list[int] = []
        try:
            for token in self.drafter.propose(self.line, self.limit, over, deadline):
                if not 0 <= token < vocabulary.n_tokens or vocabulary.is_eog(token):
                    break
                tokens.append(token)
        except Reported as report:
            _log.warning("speculation is off for a session: %s", report.error)
            sequence.draftless = True
        except Exception as error:
            if is_callers(error):
                raise
            # It is the drafter's; the generation goes on without, only slower.
            _log.warning("speculation is off for a session: %s: %s", type(error).__name__, error)
            sequence.draftless = True
        self.generation.tally.draft_seconds += time.monotonic() - began
        sequence.proposal = Proposal(self.generation, self.produced, tuple(tokens[: self.limit]))


def request(sequence: Sequence, lookahead: int, info: DecoderInfo) -> Request | None:
    """A draft for a sequence whose next step runs its last token, if there is none yet."""
    drafter, generation, line = sequence.drafter, sequence.generation, sequence.line
    if drafter is None or generation is None or sequence.draftless:
        return None
    if not fairness.runnable(sequence, lookahead) or len(line) - len(sequence.resident) != 1:
        return None
    proposal = sequence.proposal
    if proposal is not None and proposal.answers(generation):
        return None
    limit = min(sequence.max_draft, info.n_ctx_sequence - len(line), info.n_batch - 1)
    if generation.max_tokens is not None:
        limit = min(limit, generation.max_tokens - generation.produced - 1)
    # A call of a fixed width is filled up anyway: what was looked up costs nothing there.
    filled = sequence.width > 1 and not isinstance(sequence.params.speculate, DraftModel)
    if not (filled or isinstance(drafter, JudgedDrafter)):
        limit = min(limit, generation.pace.limit(generation.produced))
    if limit < 1:
        return None
    return Request(generation, drafter, list(line), limit, generation.produced)


def draft(sequence: Sequence, tokens: Tokens[int], *, room: int) -> tuple[tuple[int, ...], int]:
    """What to propose after the tokens of a row, and how many of it are a drafter's.

    A row of a sequence with a width is filled up to it, whatever was proposed.
    """
    generation, proposal = sequence.generation, sequence.proposal
    proposed: tuple[int, ...] = ()
    if proposal is not None and generation is not None and proposal.answers(generation):
        proposed = proposal.tokens
    if sequence.width == 1:
        proposed = proposed[: max(0, room)]
        return proposed, len(proposed)
    missing = max(0, sequence.width - len(tokens))
    proposed = proposed[:missing]
    return proposed + (tokens[-1],) * (missing - len(proposed)), len(proposed)


def width(params: SessionParams, info: DecoderInfo, backend: str) -> int:
    """Tokens of each native call of a reproducible session; 1 for any other.

    Raises:
        UnsupportedError: If the memory cannot forget a draft, or the decoder has no such widths.
        ParamsError: If the drafts do not fit the width, or the width does not fit the decoder.
    """
    speculate, asked = params.speculate, params.decode_width
    if speculate == AUTO:
        speculate = None  # takes the width as it is
    if (speculate is not None or (asked or 1) > 1) and not info.max_draft:
        raise UnsupportedError(
            "the memory of this model cannot forget tokens that turn out wrong",
            hint="Open the session without speculate and decode_width.",
            backend=backend,
        )
    needed = 1 if speculate is None or not params.reproducible else 1 + speculate.max_draft
    if asked is None and needed == 1:
        return 1
    multiple = info.width_multiple
    if not multiple:
        raise UnsupportedError(
            "on this device what is computed for a token depends on those beside it, so a "
            "reproducible session cannot speculate",
            hint="Open the session without reproducible=True.",
            backend=backend,
        )
    found = -(-needed // multiple) * multiple if asked is None else asked
    _check_width(found, needed, multiple, info.max_draft + 1)
    return found


def _check_width(found: int, needed: int, multiple: int, most: int) -> None:
    if found < needed:
        raise ParamsError(
            f"SessionParams.decode_width must be at least {needed} for drafts of "
            f"{needed - 1} tokens, got {found}"
        )
    if found > most:
        raise ParamsError(
            f"a decode_width of {found} does not fit: this engine computes {most} at most",
            hint="Lower max_draft or decode_width, or raise EngineParams.n_ubatch.",
        )
    if found > 1 and found % multiple:
        raise ParamsError(
            f"SessionParams.decode_width must be 1 or a multiple of {multiple} here, got {found}"
        )


def equip(sequence: Sequence, state: EngineState) -> None:
    """Give a sequence what proposes tokens for it, if anything does.

    Raises:
        UnsupportedError: If the draft model cannot be used for that.
        ParamsError: If it has another vocabulary.
        ModelMemoryError: If its memory cannot be had.
    """
    params = sequence.params
    if params.speculate is None:
        return
    if params.speculate != AUTO:
        sequence.max_draft = min(params.speculate.max_draft, state.info.max_draft)
        sequence.drafter = make_drafter(sequence, state)
    elif not params.reproducible:
        sequence.max_draft = min(LONGEST, state.info.max_draft)
        if sequence.max_draft:
            sequence.drafter = JudgedDrafter(state.judge, lambda: _situation(sequence, state))
    elif sequence.width > 1:
        # What its calls are filled up with may as well be a draft: that is no matter of time.
        sequence.max_draft = min(sequence.width - 1, MAX_DRAFT, state.info.max_draft)
        sequence.drafter = LookupDrafter(PromptLookup(max_draft=sequence.max_draft), free=True)


def _situation(sequence: Sequence, state: EngineState) -> Situation | None:
    """What the next step will be; None if it carries a prefill, beside which none is judged."""
    with state.mutex:
        key, lookahead = sequence.batch_key, state.lookahead
        found = [
            len(each.line) - len(each.resident)
            for each in state.active
            if each.batch_key == key and fairness.runnable(each, lookahead)
        ]
        if max(found, default=2) > 1:
            return None
        return Situation(state.step_id, min(len(found), state.info.n_sequences))


def learn(state: EngineState, step: Step, outcome: StepOutcome) -> None:
    """Note what a step of decodes has taken, for sessions that draft where it pays."""
    if not state.speculating or any(each.prefills or each.forced for each in step.rows):
        return
    if any(each.sequence.reproducible for each in step.rows):
        return
    if not all(result.tokens for result in outcome.rows):
        return  # it was cut short
    drafted = sum(len(each.row.draft) for each in step.rows)
    state.judge.costs.learn(len(step.rows), drafted, step.seconds / step.n_turns)


def make_drafter(sequence: Sequence, target: EngineState) -> Drafter:
    """What proposes tokens for a session that asked for it.

    Raises:
        UnsupportedError: If the draft model cannot be used for that.
        ParamsError: If it has another vocabulary.
        ModelMemoryError: If its memory cannot be had.
    """
    speculate = sequence.params.speculate
    if isinstance(speculate, PromptLookup):
        return LookupDrafter(speculate, free=sequence.width > 1)
    assert isinstance(speculate, DraftModel)
    open_drafter = getattr(speculate.model, "open_drafter", None)
    if open_drafter is None:
        raise UnsupportedError(
            "the draft model's backend is not run by headrace's engine",
            hint="Load the draft model with a backend that runs models in this process.",
        )
    drafter: Drafter = open_drafter(target, speculate.min_probability)
    return drafter
