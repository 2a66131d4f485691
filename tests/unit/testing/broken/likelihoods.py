"""Log-probabilities and scores that are wrong."""

from __future__ import annotations

import attrs

from tests.unit.testing import faulty
from tests.unit.testing.broken.making import BREAKERS, breaks, generating, pieces, shortened, wrap

pieces("logprobs.beside", lambda piece: attrs.evolve(piece, logprob=None))


pieces(
    "logprobs.top",
    lambda piece: attrs.evolve(
        piece,
        logprob=piece.logprob and attrs.evolve(piece.logprob, top=piece.logprob.top[::-1]),
    ),
)


@generating("logprobs.unasked")
def _(session, inner, prompt, *, sampling, **keywords):
    return inner(prompt, sampling=attrs.evolve(sampling, logprobs=0), **keywords)


@breaks("score.as_generated")
def _(session):
    def wrong(inner, *args, **keywords):
        score = inner(*args, **keywords)
        return attrs.evolve(
            score, logprobs=tuple(each if each is None else each - 1 for each in score.logprobs)
        )

    wrap(session, "score", wrong)


shortened("score.leaves", "score")


BREAKERS["logprobs.sum"] = lambda: faulty.subject("logprobs_halved")
BREAKERS["score.top"] = lambda: faulty.subject("score_off_by_one")
