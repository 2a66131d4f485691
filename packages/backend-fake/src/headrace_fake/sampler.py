"""How the fake chooses a token: from its script, or from a hash of all that is in memory.

With a script, a generation writes the script from its beginning; the sampler,
which lives as long as the generation, counts how far it is. Without one, the
likelihoods depend on the options' seed and on every token in memory, so that the
greedy text is a function of the history alone, as a model's is. With a temperature
above 0 the token is drawn from them by the memory, the sampling seed and the count.

Either way the sampler knows what memory must hold: at first the history it was
made for at its end, then what it held before and the token chosen. Anything
else is an engine's mistake, whatever the text would be.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import attrs

from headrace.errors import GrammarError, HeadraceError
from headrace.params import SamplingParams
from headrace.protocols import RowResult, allowed_tokens
from headrace.results import TokenLogprob
from headrace_fake import chain, constrained, drawing, likelihood
from headrace_fake.adapters import Flavour
from headrace_fake.memory import Memory
from headrace_fake.misuse import MisuseLog
from headrace_fake.options import FakeOptions
from headrace_fake.vocabulary import EOS, ByteVocabulary

N_TOKENS = ByteVocabulary.n_tokens


class _State(NamedTuple):
    n_chosen: int
    """Tokens chosen so far."""
    expected: int | None
    """The hash that memory must have when the next one is chosen."""
    tokens: tuple[int, ...]
    """Those of the last step."""
    step_id: int
    """The step it was chosen in."""
    recent: tuple[int, ...]
    """What a repeat penalty looks at."""
    logprobs: tuple[TokenLogprob, ...] = ()
    """Of these, if asked for."""


class FakeSampler:
    """Chooses the tokens of one generation."""

    def __init__(
        self,
        options: FakeOptions,
        params: SamplingParams,
        *,
        owner: object,
        misuse: MisuseLog,
        n_ctx: int,
        seed: int,
        recent: Sequence[int],
        ban_eog: bool,
    ) -> None:
        self.owner = owner
        """The decoder it was made by."""
        self.closed = False
        self._script = options.script
        self._mean_length = options.mean_length
        self._ban_eog = ban_eog
        self._misuse = misuse
        self._n_logprobs = params.logprobs
        self._params = params
        self._salt = options.seed
        self._draw = chain.scatter(options.seed, seed + 1)
        looks_back = params.repeat_penalty != 1.0
        self._penalised = params.window(params.repeat_last_n, n_ctx) if looks_back else 0
        self._before = list(recent)
        # One tuple, so that an interrupt between two bytecodes leaves the old or the new one.
        self._state = _State(0, None, (), -1, tuple(recent))

    def sample(
        self,
        step_id: int,
        memory: Memory,
        draft: Sequence[int] = (),
        allowed: memoryview | None = None,
        *,
        leaps: bool = False,
        again: bool = False,
    ) -> tuple[int, ...]:
        """Choose and accept the token that follows what is in memory, and more along a draft.

        ``leaps``: tokens that nobody chose may stand at its end, since a grammar left no choice.
        ``again``: it is another turn of the same step.
        """
        state = self._state
        now = memory.hash()
        n_leapt = self._check(state, memory, now, leaps=leaps)
        state = state._replace(n_chosen=state.n_chosen + n_leapt)
        if not again:
            state = state._replace(tokens=(), logprobs=(), step_id=step_id)
        flavour = memory.flavour
        if memory.misplacement:
            flavour = attrs.evolve(flavour, salt=flavour.salt + memory.misplacement)
        for place, proposed in enumerate((*draft, None)):
            mask = None if allowed is None else allowed_tokens(allowed, N_TOKENS, place)
            state = self._chosen(state, now, flavour, mask)
            if state.tokens[-1] != proposed:
                break
            now = chain.link(now, proposed)
        self._state = state
        return state.tokens

    def _chosen(
        self, state: _State, now: int, flavour: Flavour, allowed: Sequence[int] | None
    ) -> _State:
        """The state after one more token, where memory has that hash."""
        if allowed is None:
            token = self._next(now, state, flavour)
        else:
            token = self._under_grammar(now, state, flavour, allowed)
        return _State(
            state.n_chosen + 1,
            chain.link(now, token),
            (*state.tokens, token),
            state.step_id,
            (*state.recent, token)[-self._penalised :] if self._penalised else (),
            (*state.logprobs, *self._logprobs(token, now, state, flavour)),
        )

    @property
    def tokens(self) -> tuple[int, ...]:
        """Those of the last step."""
        return self._state.tokens

    def result(self, step_id: int, length: int, error: HeadraceError | None) -> RowResult:
        """A row's result: the tokens chosen in that step, if any, and how likely they were."""
        state = self._state
        if state.step_id != step_id:
            return RowResult(length, (), error)
        return RowResult(length, state.tokens, error, state.logprobs)

    def close(self) -> None:
        """Closing again does nothing."""
        self.closed = True

    def _next(self, now: int, state: _State, flavour: Flavour) -> int:
        if self._script is None:
            return self._seeded(now, state, flavour.salt)
        return self._written(flavour.script or self._script, state.n_chosen)

    def _under_grammar(
        self, now: int, state: _State, flavour: Flavour, allowed: Sequence[int]
    ) -> int:
        """What would be written anyway, if that is allowed; else one of what is."""
        if not allowed:
            raise GrammarError("the grammar allows no further token", backend="fake")
        if self._script is not None:
            wanted = self._written(flavour.script or self._script, state.n_chosen)
            if wanted in allowed:
                return wanted
        ranked = constrained.ranking(allowed, now, self._salt + flavour.salt, state.n_chosen)
        number = (chain.scatter(now, self._draw + state.n_chosen) >> 11) / 2**53
        return drawing.draw(ranked, self._params, recent=state.recent, number=number)

    def _written(self, script: bytes, count: int) -> int:
        if count < len(script):
            return script[count]
        if not self._ban_eog:
            return EOS
        return script[count % len(script)] if script else ord(" ")

    def _seeded(self, memory_hash: int, state: _State, salt: int) -> int:
        recent = state.recent[-self._penalised :] if self._penalised else ()
        if self._params.temperature == 0 and not recent:
            ends = 0 if self._ban_eog else self._mean_length
            return likelihood.letter(memory_hash, self._salt + salt, ends)
        ranked = self._ranked(memory_hash, salt)
        if self._ban_eog:
            ranked.remove(EOS)
        number = (chain.scatter(memory_hash, self._draw + state.n_chosen) >> 11) / 2**53
        return drawing.draw(ranked, self._params, recent=recent, number=number)

    def _ranked(self, memory_hash: int, salt: int) -> list[int]:
        return likelihood.ranking(memory_hash, self._salt + salt, self._mean_length)

    def _logprobs(
        self, token: int, memory_hash: int, state: _State, flavour: Flavour
    ) -> tuple[TokenLogprob, ...]:
        """As if there were no grammar."""
        if self._n_logprobs is None:
            return ()
        script = flavour.script or self._script
        if script is None:
            ranked = self._ranked(memory_hash, flavour.salt)
        else:
            ranked = likelihood.written(self._written(script, state.n_chosen), memory_hash)
        return (likelihood.logprob(token, ranked, self._n_logprobs),)

    def _check(self, state: _State, memory: Memory, now: int, *, leaps: bool) -> int:
        """Refuse a memory that cannot be; returns how many tokens a grammar has put in between."""
        if state.expected == now:
            return 0
        if state.expected is None:
            found = _since_the_end_of(memory, self._before, leaps)
            told = (
                "memory must end with the history that the sampler was made for; "
                f"it ends with {memory.tokens[-len(self._before) :]}, not with {self._before}"
            )
        elif memory.may_be_shifted:
            # Tokens were forgotten in the middle: all that can be checked is the end.
            found = 0 if leaps or memory.tokens[-1:] == [*state.tokens[-1:]] else None
            told = "memory must end with the token that was chosen last"
        else:
            found = _since(memory, state.expected) if leaps else None
            told = (
                f"memory must hold what it held when token {state.n_chosen} of this generation was "
                "chosen, and that token; it holds something else"
            )
        if found is None:
            self._misuse.refuse(told)
        return found or 0


def _since_the_end_of(memory: Memory, before: list[int], leaps: bool) -> int | None:
    """How many tokens come after these; only under a grammar may there be any."""
    tokens = memory.tokens
    ends = range(len(tokens), len(before) - 1, -1) if leaps else (len(tokens),)
    found = (len(tokens) - end for end in ends if tokens[end - len(before) : end] == before)
    return next(found, None) if before else 0


def _since(memory: Memory, expected: int) -> int | None:
    """How many tokens ago memory held that."""
    length = len(memory.tokens)
    found = (length - at for at in range(length - 1, 0, -1) if memory.hash_at(at) == expected)
    return next(found, None)
