"""How likely the fake finds a given text: as likely as the tokens it chooses itself."""

from __future__ import annotations

from headrace.protocols import ScoreRow
from headrace.results import TokenLogprob
from headrace_fake import likelihood
from headrace_fake.memory import Memory
from headrace_fake.options import FakeOptions


def logprobs(options: FakeOptions, row: ScoreRow, memory: Memory) -> list[TokenLogprob]:
    """One for each target of a row that was run; a script plays no part in it."""
    found = []
    salt = options.seed + memory.flavour.salt
    for index, target in enumerate(row.targets):
        hash_ = memory.hash_at(row.position + index + 1)
        ranked = likelihood.ranking(hash_, salt, options.mean_length)
        found.append(likelihood.logprob(target, ranked, row.n_top))
    return found
