"""How likely the fake finds each token: a distribution that follows from what is in memory.

The token that a greedy sampler takes is the likeliest, with probability 1/2;
the next has 1/4, and so on, letters before everything else. The order of the
rest follows from the hash of the memory, so the same history gives the same
log-probabilities, whatever the sampling.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

from headrace.results import TokenLogprob
from headrace_fake import chain
from headrace_fake.vocabulary import EOS, ByteVocabulary

LETTERS = b"      eeeeetttaaaooiinnsshhrrddllcumwfgypb"
"""What seeded text is made of, as often as each is wanted."""

HALF = math.log(0.5)
_SALT = 0x10F
_LETTERS = sorted(set(LETTERS))


def letter(memory_hash: int, salt: int, mean_length: int) -> int:
    """The likeliest token after a memory; ``EOS`` once in ``mean_length`` times, unless it is 0."""
    bits = chain.scatter(memory_hash, salt)
    if mean_length and (bits >> 32) % mean_length == 0:
        return EOS
    return LETTERS[bits % len(LETTERS)]


def ranking(memory_hash: int, salt: int, mean_length: int) -> list[int]:
    """All tokens, the likeliest first: an end, where it is due, then the letter, then others."""
    first = (letter(memory_hash, salt, mean_length), letter(memory_hash, salt, 0))
    return _ranked(first, memory_hash)


def written(token: int, memory_hash: int) -> list[int]:
    """The ranking where it is certain which token comes: in a script, or under a grammar."""
    return _ranked((token,), memory_hash)


def logprob(token: int, ranked: Sequence[int], n_top: int) -> TokenLogprob:
    """The log-probability of a token, and of the ``n_top`` likeliest."""
    top = tuple((each, (rank + 1) * HALF) for rank, each in enumerate(ranked[:n_top]))
    return TokenLogprob(token, (ranked.index(token) + 1) * HALF, top)


def _ranked(first: Sequence[int], hash_: int) -> list[int]:
    ranked = list(_order(chain.scatter(hash_, _SALT) % len(_LETTERS)))
    for token in reversed(first):
        ranked.remove(token)
        ranked.insert(0, token)
    return ranked


@functools.cache
def _order(turn: int) -> tuple[int, ...]:
    """All tokens: the letters from one of them on, and the others."""
    letters = [*_LETTERS[turn:], *_LETTERS[:turn]]
    return tuple(dict.fromkeys([*letters, *range(ByteVocabulary.n_tokens)]))
