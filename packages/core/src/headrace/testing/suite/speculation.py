"""Drafts: they change nothing but the time that it takes."""

from __future__ import annotations

from headrace.params import SamplingParams
from headrace.params.speculation import PromptLookup
from headrace.results import Capability, Completion
from headrace.testing.kit import Kit, expect_equal
from headrace.testing.rules import rule
from headrace.testing.suite.likeness import expect_alike, most_alike, told

SPECULATE = (Capability.TOKENIZE, Capability.SPECULATE)
_LOOKUP = PromptLookup(ngram=2, min_ngram=1, max_draft=4)
"""Guesses often, and is often wrong."""


@rule("speculate.same", needs=[Capability.SPECULATE, Capability.REPRODUCIBLE])
def speculate(kit: Kit) -> None:
    """Drafts change no token."""
    prompt = " ".join([kit.subject.prompt] * 3)
    with (
        kit.session(reproducible=True, decode_width=4) as plain,
        kit.session(
            reproducible=True, decode_width=4, speculate=PromptLookup(max_draft=3)
        ) as drafting,
    ):
        wanted = kit.say(plain, prompt, n=24)
        found = kit.say(drafting, prompt, n=24)
        expect_equal(found.tokens, wanted.tokens, "tokens with drafts")


@rule("speculate.greedy", needs=SPECULATE)
def speculate_greedy(kit: Kit) -> None:
    """Drafts that are wrong are not taken: with them the same is written as without."""
    prompt = _quoting(kit)
    with kit.session() as plain, kit.session(speculate=_LOOKUP) as drafting:
        wanted = told(kit, plain, prompt, n=32)
        found = told(kit, drafting, prompt, n=32)
    _note_drafts(kit, [found])
    expect_alike(kit, found, wanted, "what is written with drafts")


@rule("speculate.drawn", needs=SPECULATE)
def speculate_drawn(kit: Kit) -> None:
    """Nor do drafts change what is drawn with a seed."""
    prompt = _quoting(kit)
    texts: list[list[Completion]] = []
    for speculate in (None, _LOOKUP):
        texts.append([])
        for seed in range(4):
            sampling = SamplingParams(temperature=1.0, top_k=0, top_p=1.0, min_p=0.0, seed=seed)
            with kit.session(speculate=speculate) as session:
                texts[-1].append(kit.say(session, prompt, n=16, sampling=sampling))
    plain, drafted = texts
    _note_drafts(kit, drafted)
    most_alike(kit, [each.text for each in drafted], [each.text for each in plain], "what is drawn")


def _quoting(kit: Kit) -> list[int]:
    """A prompt in which most of what follows came up before, followed by something else."""
    with kit.session() as session:
        kit.say(session, n=24)
        history = session.tokens
    return [*history, *reversed(history[-24:]), *history[-24::2]]


def _note_drafts(kit: Kit, done: list[Completion]) -> None:
    drafted = sum(each.timings.drafted_tokens for each in done)
    accepted = sum(each.timings.accepted_tokens for each in done)
    kit.note("tokens drafted", drafted)
    kit.note("of which were accepted", accepted)
