"""A decoder that is right, and one with a single fault planted in it, for each of many faults.

Its likelihoods follow from a hash of the tokens in memory and of their places, so that whatever is
wrong with a memory is wrong with what is written. It checks nothing of what it is asked.
"""

# The protocol says what its methods do.
# ruff: noqa: D102

from __future__ import annotations

import itertools
import math
import os
import random
import threading

from headrace import Capability, ModelInfo, ModelNotFoundError
from headrace.backend.decoder import (
    DecoderInfo,
    RowResult,
    StepOutcome,
    StepStatus,
    Truncation,
)
from headrace.backend.serial_decoder import Alarm
from headrace.engine import EngineModel
from headrace.errors import ModelLoadCancelledError, TokenizeError
from headrace.protocols import ScoreOutcome, allowed_tokens
from headrace.results import TokenLogprob
from headrace.testing import Subject

EOS = 257
N_TOKENS = 258
LETTERS = b" etaoinshrdlucmwfgypbvk."
ENDING = "The end."
"""After a full stop the model is likely to end."""
RELEASE = threading.Event()
"""Set when no planted fault shall wait any longer."""


class PlainInt(int):
    """A number of some library that looks like an int."""


def hashed(values) -> int:
    """A hash of numbers, the same in every process."""
    state = 0xCBF29CE484222325
    for value in values:
        state = ((state ^ value) * 0x100000001B3) & (2**64 - 1)
        state ^= state >> 29
    return state


def logits_of(memory, fault: str = "") -> list[float]:
    """What the model thinks of each token after these (place, token)."""
    if fault == "positions_ignored":
        state = hashed(sorted(token for _, token in memory))
    else:
        state = hashed(itertools.chain.from_iterable(memory))
    logits = [-12.0 - token / N_TOKENS for token in range(N_TOKENS)]
    for letter in LETTERS:
        logits[letter] = 6 * (hashed((state, letter)) % 10007 / 10007) - 3
    logits[EOS] = 8.0 if memory and memory[-1][1] == ord(".") else -3.0
    return logits


def softmax(logits) -> list[float]:
    """Probabilities."""
    most = max(logits)
    weights = [math.exp(each - most) for each in logits]
    total = math.fsum(weights)
    return [each / total for each in weights]


def choose(logits, params, recent, draw, ban_eog, allowed, fault: str = "") -> int:
    """Choose a token, as the parameters say or as the fault does."""
    logits = list(logits)
    if allowed is not None:
        if fault != "masks_after_top_k":
            logits = masked(logits, allowed)
        ban_eog = ban_eog and fault == "end_banned_under_masks"
    if ban_eog and fault != "eog_not_banned":
        logits[EOS] = -math.inf
    if fault != "penalty_ignored":
        for token in range(N_TOKENS) if fault == "penalty_for_all" else set(recent):
            at, penalty = logits[token], params.repeat_penalty
            if fault == "penalty_too_weak":
                penalty **= 0.8
            logits[token] = at / penalty if at > 0 else at * penalty
    order = sorted(range(N_TOKENS), key=lambda token: -logits[token])
    if params.temperature == 0:
        return order[0]
    if params.top_k and fault != "top_k_ignored":
        order = order[: params.top_k + (fault == "top_k_off_by_one")]
    if allowed is not None and fault == "masks_after_top_k":
        order = [token for token in order if token in allowed] or order
    weights = softmax([logits[token] for token in order])
    if fault != "top_p_ignored" and params.top_p < 1:
        sums = list(itertools.accumulate(weights))
        order = order[: sum(each < params.top_p for each in sums) + 1]
    if fault != "min_p_ignored":
        least = params.min_p * weights[0]
        order = [token for token, weight in zip(order, weights, strict=False) if weight >= least]
    temperature = {
        "temperature_ignored": 1.0,
        "temperature_squared": params.temperature**2,
        "temperature_a_tenth_too_high": params.temperature * 1.1,
    }.get(fault, params.temperature)
    weights = softmax([logits[token] / temperature for token in order])
    for token, weight in zip(order, weights, strict=True):
        draw -= weight
        if draw < 0:
            return token
    return order[0]


def masked(logits, allowed) -> list[float]:
    """The logits, with nothing left of what is not allowed."""
    return [each if token in allowed else -math.inf for token, each in enumerate(logits)]


class Sampler:
    """The choices of one generation."""

    n_of_all = 0
    recent_of_all: list[int] = []  # noqa: RUF012  # shared, which is the fault

    def __init__(self, params, seed, recent, ban_eog, fault):
        self.params, self.seed, self.ban_eog, self.fault = params, seed, ban_eog, fault
        self.count = 0
        self.recent = [] if fault == "penalty_forgets_the_prompt" else list(recent)
        self.tokens: list[int] = []
        self.logprobs: list[TokenLogprob] = []
        self.step_id = -1

    def close(self):
        pass

    def number(self):
        if self.fault == "seed_ignored":
            return random.random()
        if self.fault == "seed_constant":
            return random.Random(self.count).random()
        if self.fault == "draws_shared_by_rows":
            type(self).n_of_all += 1
            return random.Random(self.seed << 31 | self.n_of_all).random()
        return random.Random(self.seed << 31 | self.count).random()

    def window(self):
        if self.params.repeat_penalty == 1.0:
            return []
        recent = self.recent_of_all if self.fault == "penalties_shared_by_rows" else self.recent
        n = self.params.repeat_last_n
        return recent if n < 0 else recent[len(recent) - min(n, len(recent)) :]

    def begin(self, step_id):
        self.step_id, self.tokens, self.logprobs = step_id, [], []

    def choose(self, logits, allowed):
        how = (self.params, self.window(), self.number(), self.ban_eog, allowed, self.fault)
        token = choose(logits, *how)
        self.count += 1
        self.recent.append(token)
        self.recent_of_all.append(token)
        self.tokens.append(token)
        if self.params.logprobs is not None:
            if allowed is not None and self.fault == "logprobs_of_masks":
                logits = masked(logits, {*allowed, token})
            self.logprobs.append(told(logits, token, self.params.logprobs, self.fault))
        return token


def told(logits, token, n_top, fault: str = "") -> TokenLogprob:
    """The log-probability of a token and the best others."""
    logprobs = [math.log(each) for each in softmax(logits)]
    if fault == "logprobs_halved":
        logprobs = [each / 2 for each in logprobs]
    if fault == "logprobs_after_temperature":
        logprobs = [math.log(each) for each in softmax([2 * each for each in logits])]
    order = sorted(range(N_TOKENS), key=lambda each: -logprobs[each])
    top = tuple((each, logprobs[each]) for each in order[:n_top])
    of = (token + 1) % N_TOKENS if fault == "logprobs_of_another_token" else token
    return TokenLogprob(token, logprobs[of], top)


class Decoder:
    """Several memories of (place, token)."""

    score_limit = 64

    def __init__(self, params, fault):
        n_ctx = params.n_ctx or 512
        self.info = DecoderInfo(
            n_ctx=n_ctx,
            n_ctx_sequence=n_ctx // params.n_sequences if params.divided else n_ctx,
            n_sequences=params.n_sequences,
            n_batch=params.n_batch,
            truncation=Truncation.ANY,
            can_copy=True,
            can_shift=True,
            interruptible=True,
            max_draft=8,
            width_multiple=1,
            unaffected=True,
        )
        self.state_key = {"model": "faulty", "memory": "places"}
        self.fault = fault
        self.memories = [[] for _ in range(params.n_sequences)]
        self.last = None
        self.alarm = Alarm()

    def new_sampler(self, params, *, seed, recent, ban_eog):
        return Sampler(params, seed, recent, ban_eog, self.fault)

    def append(self, sequence, position, tokens):
        self.memories[sequence] += [(position + at, token) for at, token in enumerate(tokens)]

    def step(self, step_id, rows, *, time_limit=None):
        self.last = (step_id, None)
        if self.fault == "interrupt_ignored" and sum(len(row.tokens) for row in rows) > 100:
            RELEASE.wait(30)
        elif self.alarm.rung(step_id) or (time_limit is not None and time_limit <= 0):
            return self.ended(step_id, StepStatus.INTERRUPTED, rows)
        used = sum(map(len, self.memories))
        wanted = [len(row.tokens) + len(row.draft) for row in rows]
        longest = max(row.position + n for row, n in zip(rows, wanted, strict=True))
        if used + sum(wanted) > self.info.n_ctx or longest > self.info.n_ctx_sequence:
            self.last = (step_id, StepOutcome(StepStatus.NO_ROOM))
            return self.last[1]
        for row in rows:
            self.run(step_id, row, len(rows))
        return self.ended(step_id, StepStatus.DONE, rows)

    def run(self, step_id, row, n_rows):
        self.append(row.sequence, row.position, row.tokens)
        if row.sampler is None:
            return
        memory = self.memories[row.sequence]
        row.sampler.begin(step_id)
        for at, proposed in enumerate((*row.draft, None)):
            seen = (
                [*memory, (n_rows, 0)] if self.fault == "neighbours_seen" and n_rows > 1 else memory
            )
            allowed = self.allowed(row, at)
            token = row.sampler.choose(logits_of(seen, self.fault), allowed)
            if proposed is not None and self.fault == "drafts_accepted":
                row.sampler.tokens[-1] = token = proposed
            if token != proposed:
                if self.fault == "drafts_stay":
                    self.append(row.sequence, len(memory), row.draft[at:])
                break
            self.append(row.sequence, len(memory), [token])

    def allowed(self, row, place):
        if row.allowed is None or self.fault == "masks_ignored":
            return None
        return allowed_tokens(
            row.allowed, N_TOKENS, 0 if self.fault == "masks_of_the_first_place" else place
        )

    def ended(self, step_id, status, rows):
        results = [self.result(step_id, row) for row in rows]
        written = [each for each in results if each.tokens]
        if self.fault == "rows_swapped" and len(written) > 1:
            one, other = written[:2]
            one.tokens, other.tokens = other.tokens, one.tokens
            one.logprobs, other.logprobs = other.logprobs, one.logprobs
        self.last = (step_id, StepOutcome(status, results))
        return self.last[1]

    def result(self, step_id, row):
        length = len(self.memories[row.sequence])
        sampler = row.sampler
        if sampler is None or sampler.step_id != step_id:
            return RowResult(length)
        if self.fault in _LENGTH_AS_SAID:
            length = row.position + len(row.tokens) + len(sampler.tokens) - 1
        return RowResult(length, tuple(sampler.tokens), None, tuple(sampler.logprobs))

    def outcome(self, step_id):
        return self.last[1] if self.last and self.last[0] == step_id else None

    def interrupt(self, step_id):
        self.alarm.ring(step_id)

    def truncate(self, sequence, length):
        changed = {"truncate_forgets_less": length + 1, "truncate_forgets_more": length - 1}
        del self.memories[sequence][changed.get(self.fault, length) if length else 0 :]
        return length

    def copy(self, source, target, length):
        taken = self.memories[source][:length]
        if sum(map(len, self.memories)) + length > self.info.n_ctx:
            return 0
        if self.fault == "copy_copies_nothing":
            taken = []
        if self.fault == "copy_copies_garbage":
            taken = [(place, 0) for place, _ in taken]
        self.memories[target] = taken
        return length

    def shift(self, sequence, start, stop):
        memory = self.memories[sequence]
        off = self.fault == "shift_forgets_others"
        kept = [*memory[: start + off], *memory[stop + off :]]
        if self.fault != "shift_keeps_places":
            kept = [(place, token) for place, (_, token) in enumerate(kept)]
        if self.fault != "shift_does_nothing":
            memory[:] = kept
        return True

    def clear(self, sequence):
        if self.fault != "clear_keeps":
            self.memories[sequence].clear()

    def export_state(self, sequence):
        memory = self.memories[sequence]
        return memoryview(b"".join(token.to_bytes(4, "little") for _, token in memory))

    def import_state(self, sequence, state):
        tokens = [int.from_bytes(state[at : at + 4], "little") for at in range(0, len(state), 4)]
        if sum(map(len, self.memories)) + len(tokens) > self.info.n_ctx:
            return 0
        if self.fault == "state_of_zeros":
            tokens = [0] * len(tokens)
        if self.fault == "state_in_reverse":
            tokens.reverse()
        self.append(sequence, 0, tokens)
        return len(tokens)

    def score(self, step_id, row):
        memory = self.memories[row.sequence]
        found = []
        for at, token in enumerate(row.tokens):
            self.append(row.sequence, row.position + at, [token])
            if row.targets:
                seen = memory[:-1] if self.fault == "score_off_by_one" else memory
                found.append(
                    told(logits_of(seen, self.fault), row.targets[at], row.n_top, self.fault)
                )
        self.last = (step_id, None)
        return ScoreOutcome(StepStatus.DONE, len(memory), tuple(found), None)

    def close(self):
        pass


_LENGTH_AS_SAID = (
    *("drafts_stay", "truncate_forgets_less", "truncate_forgets_more"),
    *("copy_copies_nothing", "clear_keeps", "shift_does_nothing"),
    *("shift_forgets_others", "shift_keeps_places"),
)
"""Faults that say what the engine expects, whatever memory really holds."""


class Vocabulary:
    """Bytes, the end, and one that is never used."""

    n_tokens = N_TOKENS

    def __init__(self, fault):
        self.fault = fault

    def tokenize(self, text, *, add_special, parse_special):
        try:
            tokens = list(text.encode())
        except UnicodeEncodeError as error:
            raise TokenizeError(str(error)) from error
        if self.fault == "tokens_of_a_library":
            return [PlainInt(each) for each in tokens]
        return list(text.lower().encode()) if self.fault == "text_in_lower_case" else tokens

    def detokenize(self, tokens, *, special):
        data = b"".join(map(self.piece, tokens))
        return data.rstrip() if self.fault == "text_without_its_last_space" else data

    def piece(self, token):
        return bytes([token]) if token < 256 else b""

    def is_eog(self, token):
        return token == EOS and self.fault != "end_unknown"


class FaultyModel:
    """What its sessions share."""

    info = ModelInfo(
        name="faulty",
        backend="faulty",
        build="1",
        architecture="hash",
        description="likelihoods of a hash",
        n_vocab=N_TOKENS,
        n_ctx_train=0,
        special_tokens={"eos": EOS},
    )

    def __init__(self, fault):
        self.fault = fault
        self.vocabulary = Vocabulary(fault)
        if fault == "thread_left":
            threading.Thread(target=RELEASE.wait, name="left", daemon=True).start()

    def generate_hint(self):
        return None

    def open_decoder(self, params):
        if self.fault == "prints":
            print("a context was made")
        if self.fault == "prints_below_python":
            os.write(2, b"a context was made\n")
        return Decoder(params, self.fault)

    def close(self):
        if self.fault == "close_hangs":
            RELEASE.wait(30)


class FaultyBackend:
    """Loads models with a fault; without one by default."""

    name, version, protocol_version = "faulty", "1", 2

    def __init__(self, fault: str = "") -> None:
        self.fault = fault

    def can_load(self, reference):
        return reference.startswith("faulty:")

    def capabilities(self):
        return frozenset(
            {
                *(Capability.TOKENIZE, Capability.GENERATE, Capability.BATCHING),
                *(Capability.INTERRUPT, Capability.SHIFT, Capability.REPRODUCIBLE),
                *(Capability.SPECULATE, Capability.LOGPROBS, Capability.STATE, Capability.SCORE),
                Capability.GRAMMAR,
            }
        )

    def load(self, request):
        if not self.can_load(request.reference):
            raise ModelNotFoundError(f"there is no model {request.reference!r}")
        if request.progress is not None and request.progress(0.5) is False:
            raise ModelLoadCancelledError("the load was cancelled")
        return EngineModel(FaultyModel(self.fault), request.engine, self.capabilities())


def subject(fault: str = "", **more) -> Subject:
    """What the kit is run on."""
    more = {"examples": 5, "shifts_exactly": True, "ending_prompt": ENDING, **more}
    return Subject(backend=FaultyBackend(fault), model="faulty:", **more)
