"""A step on its way: planning its rows, and handing out what came of them.

``plan`` turns the chosen sequences into rows; ``apply`` turns a row's result
into tokens. Applying twice is applying once, because a driver may be
interrupted in the middle and the next one begins again: counts are assigned,
never added to, except once for each step id.
"""

from __future__ import annotations

from collections.abc import Callable

import attrs

from headrace.backend.decoder import Row, RowResult, Sampler, Truncation
from headrace.engine import drafting, fairness
from headrace.engine.checked import CheckedDecoder, Reported, is_poison
from headrace.engine.line import common_prefix
from headrace.engine.slots import SHARE_AT_LEAST, Slots
from headrace.engine.state import PlannedRow, Run, Sequence, Step
from headrace.errors import HeadraceError
from headrace.results import StopReason, TokenLogprob


class Planner:
    """Fills steps."""

    def __init__(self, decoder: CheckedDecoder, slots: Slots) -> None:
        self._decoder = decoder
        self._slots = slots
        self.limits = fairness.Limits(
            n_batch=decoder.info.n_batch, interruptible=decoder.info.interruptible
        )

    def plan(self, candidates: list[Sequence], driving: Sequence, step_id: int) -> Step | None:
        """A step for some of the runnable sequences; None if none of them has a token to run."""
        for lead in fairness.leads(candidates, driving, step_id):
            batch = fairness.batch(candidates, lead, step_id)[: self.limits.max_rows]
            step = self._fill(step_id, batch)
            if step.rows:
                return step
        if driving.slot is None and self._slots.evict_one((), driving):
            # Every slot is held by somebody who could run, but not in this step.
            step = self._fill(step_id, [driving])
        return step if step.rows else None

    def _fill(self, step_id: int, batch: list[Sequence]) -> Step:
        seated: list[Sequence] = []
        stops: dict[Sequence, int] = {}
        for sequence in batch:
            if len(seated) == self._decoder.info.n_sequences:
                break
            if self._waits_for_a_prefix(sequence, seated, stops):
                continue
            if self._prepare(sequence, seated, step_id):
                seated.append(sequence)
        parts = self._parts(seated, stops)
        tokens_left = self._decoder.info.n_batch
        drafts_left = self._decoder.info.max_draft if self.limits.drafts else 0
        rows_left = len(seated)
        step = Step(step_id, [], batch[0].adapters if batch else ())
        for sequence in seated:
            rows_left -= 1
            part = min(tokens_left, parts.get(sequence, 1))
            planned = self._row(sequence, part) if part else None
            if planned is None:
                continue
            # Not at the expense of those that have not got their one token yet.
            room = min(drafts_left, tokens_left - len(planned.row.tokens) - rows_left)
            self._add_draft(planned, room)
            step.rows.append(planned)
            tokens_left -= len(planned.row.tokens) + len(planned.row.draft)
            drafts_left -= len(planned.row.draft)
        # Libraries that compute runs of neighbouring sequences together find them so.
        step.rows.sort(key=lambda planned: planned.row.sequence)
        return step

    def _parts(self, seated: list[Sequence], stops: dict[Sequence, int]) -> dict[Sequence, int]:
        """How many tokens of prefill each that has a prompt to compute may have in a step."""
        wanted = {
            sequence: stops.get(sequence, len(sequence.line)) - len(sequence.resident)
            for sequence in seated
            if len(sequence.line) - len(sequence.resident) > 1
        }
        decodes = len(seated) - len(wanted)
        room = max(1, self._decoder.info.n_batch - decodes)
        limit = min(self._prefill_limit(seated, len(wanted)), room)
        return fairness.parts(wanted, limit)

    def _waits_for_a_prefix(
        self, sequence: Sequence, seated: list[Sequence], stops: dict[Sequence, int]
    ) -> bool:
        """Whether what a sequence would compute now is in the step already, for another one.

        Where many begin at once with the same tokens, one of them computes these; the others take
        them from its memory then. It stops where they go their own way, so that all of what it
        has is theirs.

        Args:
            sequence: One that may be in the step.
            seated: Those that will be.
            stops: Gets, for who computes the prefix, the index in its line at which it stops.
        """
        info = self._decoder.info
        if not info.can_copy or info.truncation is Truncation.NONE or sequence.reproducible:
            return False
        line = sequence.line
        if not seated or sequence.stored is not None or len(line) <= SHARE_AT_LEAST:
            return False
        at = SHARE_AT_LEAST + self._held(sequence)
        if at >= len(line):
            return False
        for other in seated:
            theirs = other.line
            if at >= len(theirs) or theirs[at] != line[at] or theirs[0] != line[0]:
                continue  # as nearly always, and quickly seen
            common = min(common_prefix(theirs, line), len(line) - 1)
            if common > at and len(other.resident) < common:
                stops[other] = min(common, stops.get(other, common))
                sequence.in_line = False
                return True
        return False

    def _held(self, sequence: Sequence) -> int:
        """How much of its line a sequence has in memory, before that is brought in line."""
        if sequence.in_line:
            return len(sequence.resident)  # as in every step that decodes: nothing is compared
        same = sequence.resident_adapters == sequence.adapters
        return sequence.keepable() if same and sequence.slot is not None else 0

    def _prepare(self, sequence: Sequence, seated: list[Sequence], step_id: int) -> bool:
        """Whether a sequence has a slot and its memory is in line; what fails is its own alone."""
        try:
            if not self._slots.seat(sequence, seated, step_id):
                return False
            self._forget_what_does_not_fit(sequence)
            self._slots.bring_in_line(sequence)
        except Reported as report:
            generation = sequence.generation
            if generation is None or is_poison(report.error):
                raise
            if sequence.slot is not None:
                self._slots.evict(sequence)
            generation.error = report.error
            return False
        return True

    def _prefill_limit(self, seated: list[Sequence], prefills: int) -> int:
        """Most tokens of prefill in a step; a reproducible sequence is alone in its own.

        Neither the clock nor what others found of memory may decide where it is cut.
        """
        if seated and seated[0].reproducible and not seated[0].cramped:
            return self._decoder.info.n_batch
        return self.limits.prefill(len(seated) - prefills, prefills)

    def _forget_what_does_not_fit(self, sequence: Sequence) -> None:
        """Shift, if the last token would have no place and the session wants it so."""
        generation = sequence.generation
        if generation is not None and len(sequence.line) > self._decoder.info.n_ctx_sequence:
            sequence.shift_out(generation.forgettable)

    def _row(self, sequence: Sequence, share: int) -> PlannedRow | None:
        generation = sequence.generation
        assert generation is not None
        assert sequence.slot is not None
        try:
            sequence.check_adapters()
        except HeadraceError as error:
            generation.error = error.kept()
            return None
        position, line = len(sequence.resident), sequence.line
        generation.found_in_memory(position)
        end = sequence.chunk_end(share if len(line) - position > 1 else 1)
        if generation.max_tokens == 0:
            end = min(end, generation.prompt_end - 1)  # its last token stays pending
            if end <= position:
                generation.end = StopReason.MAX_TOKENS
        if end <= position:
            return None
        sampler = self._sampler(generation) if end == len(line) else None
        if generation.error is not None:
            return None
        row = Row(sequence.slot, position, line[position:end], sampler)
        return PlannedRow(sequence, generation, len(line), row)

    def _add_draft(self, planned: PlannedRow, room: int) -> None:
        sequence, row = planned.sequence, planned.row
        if sequence.width > 1 or (sequence.drafter is not None and row.sampler is not None):
            row.draft, planned.proposed = drafting.draft(sequence, row.tokens, room=room)

    def _sampler(self, generation: Run) -> Sampler | None:
        if generation.sampler is None:
            params = generation.sampling
            if params.grammar is not None:  # what it allows comes with each row
                params = attrs.evolve(params, grammar=None)
            lookback = params.lookback(self._decoder.info.n_ctx_sequence)
            end = len(generation.sequence.line)
            try:
                generation.sampler = self._decoder.new_sampler(
                    params,
                    # Another one after a draw that was refused, or it would be drawn again.
                    seed=(generation.seed + generation.n_refused) % 2**32,
                    recent=generation.sequence.line[max(0, end - lookback) : end],
                    ban_eog=generation.ignore_eog,
                )
            except Reported as report:
                if is_poison(report.error):
                    raise
                generation.error = report.error
        return generation.sampler

    def learn(self, step: Step) -> None:
        """Note that a step found room, and what its prefill cost."""
        self.limits.max_rows = self.limits.max_chunk = None
        self.limits.drafts = True
        tokens = sum(len(planned.row.tokens) for planned in step.rows)
        prefills = [planned for planned in step.rows if planned.prefills]
        if prefills and tokens >= fairness.MIN_CHUNK and step.seconds > 0:
            self.limits.learn(tokens, step.seconds)

    def make_room(self, step: Step) -> bool:
        """After a step that found none: evict, or plan less; False if nothing is left to try."""
        if any(planned.row.draft and planned.sequence.width == 1 for planned in step.rows):
            self.limits.drafts = False
            return True
        if self._slots.evict_one(step.sequences, step.rows[0].sequence):
            return True
        if len(step.rows) > 1:
            self.limits.max_rows = len(step.rows) // 2
        elif step.rows[0].prefills:
            self.limits.max_chunk = len(step.rows[0].row.tokens) // 2
            step.rows[0].sequence.cramped = step.rows[0].sequence.reproducible
        else:
            return False
        return True


def apply(
    step: Step, planned: PlannedRow, result: RowResult, is_eog: Callable[[int], bool]
) -> None:
    """Bring a sequence and its generation up to date with what its row did."""
    sequence, generation, row = planned.sequence, planned.generation, planned.row
    if sequence.failure is not None:
        return
    ran = [*row.tokens, *result.tokens[:-1]]
    done = max(0, result.length - row.position)
    sequence.resident[row.position :] = ran[:done]
    del sequence.resident[result.length :]
    sequence.last_step = step.step_id
    whole = done == len(ran)
    if not whole or (row.sampler is not None and not result.tokens):
        # Cut short, perhaps just before sampling: the last token has to run again.
        sequence.in_line = False
    if sequence.generation is not generation:
        sequence.in_line = False  # settled while the step ran: the memory is ahead
        return
    if whole or result.tokens:  # or it was, before a draft could not be forgotten
        sequence.record_cut(row.position, row.position + len(ran))
    _account(step, planned, result)
    generation.found_in_memory(result.length)
    if result.error is not None:
        generation.error = result.error
        sequence.in_line = False
    elif result.tokens:
        produced = planned.line_length - generation.prompt_end
        accepted = min(len(result.tokens) - 1, planned.proposed)
        generation.pace = generation.pace.after(produced, planned.proposed, accepted)
        _accept(generation, result.tokens, planned.line_length, result.logprobs, is_eog)
        if len(sequence.line) <= len(sequence.resident):
            sequence.in_line = False  # it ended in the middle of what was accepted
    elif whole and generation.max_tokens == 0 and result.length >= generation.prompt_end - 1:
        generation.end = StopReason.MAX_TOKENS


def _account(step: Step, planned: PlannedRow, result: RowResult) -> None:
    """Count a step, once."""
    generation, tally = planned.generation, planned.generation.tally
    if generation.last_step == step.step_id:
        return
    sampled = len(result.tokens)
    if sampled or result.length > planned.row.position:
        generation.fruitless = 0
    elif step.ended_by_itself:
        generation.fruitless += 1
    tally.sample_seconds += result.sample_seconds
    tally.steps += 1
    if planned.prefills or not generation.produced:
        tally.prefill_tokens += len(planned.row.tokens)
        tally.prefill_seconds += step.seconds
    else:
        tally.decode_tokens += max(1, sampled)
        tally.decode_seconds += step.seconds
    tally.drafted_tokens += planned.proposed
    tally.accepted_tokens += max(0, min(sampled - 1, planned.proposed))
    generation.last_step = step.step_id


def _accept(
    generation: Run,
    tokens: tuple[int, ...],
    at: int,
    logprobs: tuple[TokenLogprob, ...],
    is_eog: Callable[[int], bool],
) -> None:
    """Append sampled tokens at index ``at`` of the line; doing so twice is doing so once."""
    sequence, line = generation.sequence, generation.sequence.line
    tokens = tokens[: _wanted(generation, tokens, at, is_eog)]
    logprobs = logprobs[: len(tokens)]
    # Before the tokens count: a reader takes both once they do.
    generation.logprobs[line.dropped + at - generation.start :] = logprobs
    generation.put(at, tokens)
    # Where the end is ignored it is chosen only if a grammar allows nothing else.
    ends = not generation.ignore_eog or generation.matcher is not None
    if ends and is_eog(line[-1]):
        generation.end = StopReason.EOG
    elif generation.is_enough:
        generation.end = StopReason.MAX_TOKENS
    elif len(line) > sequence.room and not generation.forgettable:
        generation.end = StopReason.CONTEXT_FULL


def _wanted(
    generation: Run, tokens: tuple[int, ...], at: int, is_eog: Callable[[int], bool]
) -> int:
    """How many of the tokens sampled in one step belong to the generation."""
    wanted = len(tokens)
    if wanted > 1:
        if not generation.ignore_eog:
            eog = map(is_eog, tokens)
            wanted = next((i + 1 for i, ends in enumerate(eog) if ends), wanted)
        if generation.max_tokens is not None:
            wanted = min(wanted, generation.max_tokens - (at - generation.prompt_end))
        if not generation.sequence.forgettable(0):
            wanted = min(wanted, generation.sequence.room + 1 - at)
    return wanted
