"""How likely the fake finds each token: a distribution that follows from what is in memory.

The token that a greedy sampler takes is the likeliest, with probability 1/2;
the next has 1/4, and so on, letters before everything else. The order of the
rest follows from the hash of the memory, so the same history gives the same
log-probabilities, whatever the sampling.
"""

from __future__ import annotations

import math

from headrace.results import TokenLogprob
from headrace_fake import chain
from headrace_fake.vocabulary import ByteVocabulary

_HALF = math.log(0.5)
_SALT = 0x10F


def logprob(token: int, likeliest: int, letters: bytes, hash_: int, n_top: int) -> TokenLogprob:
    """The log-probability of a token, and of the ``n_top`` likeliest."""
    ranking = _ranking(likeliest, sorted(set(letters)), hash_)
    logprobs = {each: (rank + 1) * _HALF for rank, each in enumerate(ranking)}
    top = tuple((each, logprobs[each]) for each in ranking[:n_top])
    return TokenLogprob(token, logprobs[token], top)


def _ranking(likeliest: int, letters: list[int], hash_: int) -> list[int]:
    turn = chain.scatter(hash_, _SALT) % len(letters)
    first = [likeliest, *letters[turn:], *letters[:turn]]
    return list(dict.fromkeys([*first, *range(ByteVocabulary.n_tokens)]))
