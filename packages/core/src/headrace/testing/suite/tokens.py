"""Text to token ids and back."""

from __future__ import annotations

import attrs

from headrace.errors import TokenizeError
from headrace.results import Capability
from headrace.testing.kit import Kit, expect, expect_equal, expect_error
from headrace.testing.rules import rule
from headrace.testing.suite.properties import for_all

TOKENIZE = (Capability.TOKENIZE,)


@rule("tokens.in_vocabulary", needs=TOKENIZE)
def in_vocabulary(kit: Kit) -> None:
    """Any text has token ids inside the vocabulary."""
    from hypothesis import strategies as st

    model = kit.model

    @for_all(kit, text=st.text(max_size=60))
    def check(text: str) -> None:
        ids = model.tokenize(text)
        expect(isinstance(ids, list), f"tokenize returned {type(ids).__name__}, not a list")
        strange = [each for each in ids if not 0 <= each < model.info.n_vocab]
        expect(not strange, f"tokenize({text!r}) has ids outside the vocabulary: {strange}")


@rule("tokens.round_trip", needs=TOKENIZE)
def round_trip(kit: Kit) -> None:
    """Detokenizing the tokens of a text gives the text."""
    from hypothesis import strategies as st

    # SentencePiece writes "▁" for a space, and may put one in front.
    letters = st.characters(exclude_categories=["Cs"], exclude_characters="▁")

    def check(text: str) -> None:
        data = kit.model.detokenize(kit.model.tokenize(text, add_special=False))
        expect(isinstance(data, bytes), f"detokenize returned {type(data).__name__}, not bytes")
        expect_equal(
            data.decode(errors="replace").removeprefix(" "), text.removeprefix(" "), "text"
        )

    for text in ("A b", "two  spaces ", "line\n\tline\n", "é, e\u0301, 语, 👍🏽"):
        check(text)
    for_all(kit, text=st.text(alphabet=letters, max_size=60))(check)


@rule("tokens.nothing", needs=TOKENIZE)
def nothing(kit: Kit) -> None:
    """An empty text has no tokens, and no tokens have no bytes."""
    expect_equal(kit.model.tokenize("", add_special=False), [], "tokens of ''")
    expect_equal(kit.model.detokenize([]), b"", "bytes of []")


@rule("tokens.special", needs=TOKENIZE)
def special(kit: Kit) -> None:
    """Special tokens are added around a text's own, on request."""
    plain = kit.model.tokenize("abc", add_special=False)
    added = kit.model.tokenize("abc", add_special=True)
    places = range(len(added) - len(plain) + 1)
    expect(
        any(added[at : at + len(plain)] == plain for at in places),
        f"tokenize('abc') is {added}, in which {plain} does not occur",
    )


@rule("tokens.outside", needs=TOKENIZE)
def outside(kit: Kit) -> None:
    """An id outside the vocabulary is a TokenizeError."""
    for token in (-1, kit.model.info.n_vocab, 2**31, 2**63, 10**30):
        expect_error(
            TokenizeError,
            lambda token=token: kit.model.detokenize([token]),  # type: ignore[misc]
            f"detokenize([{token}])",
        )


@rule("tokens.surrogates", needs=TOKENIZE)
def surrogates(kit: Kit) -> None:
    """A text with a lone surrogate is a TokenizeError."""
    expect_error(TokenizeError, lambda: kit.model.tokenize("ab\udfff"), "tokenize('ab\\udfff')")


@rule("tokens.prompts", needs=TOKENIZE)
def prompts(kit: Kit) -> None:
    """A text and its token ids are the same prompt."""
    ids = kit.model.tokenize(kit.subject.prompt)
    with kit.session() as one, kit.session() as other:
        by_ids, by_text = kit.say(one, ids), kit.say(other)
        expect_equal(one.tokens[: len(ids)], ids, "history of a prompt of ids")
        expect_equal(other.tokens[: len(ids)], ids, "history of the same text")
        expect_equal(by_ids.usage.prompt_tokens, by_text.usage.prompt_tokens, "prompt tokens")


@rule("tokens.plain", needs=[Capability.TOKENIZE])
def plain(kit: Kit) -> None:
    """Token ids are int and log-probabilities float, not the numbers of some library."""
    expect_plain(kit.model.tokenize(kit.subject.prompt), int, "tokenize")
    sampling = kit.subject.sampling
    tells = Capability.LOGPROBS in kit.model.capabilities
    if tells:
        sampling = attrs.evolve(sampling, logprobs=2)
    with kit.session() as session:
        stream = kit.stream(session, n=4, sampling=sampling)
        for chunk in stream:
            expect_plain(chunk.tokens, int, "a chunk")
        expect_plain(session.tokens, int, "session.tokens")
        expect_plain(stream.result.tokens, int, "the result")
        for told in stream.result.logprobs:
            expect_plain([told.token, *(token for token, _ in told.top)], int, "log-probabilities")
            expect_plain([told.logprob, *(each for _, each in told.top)], float, "them")


def expect_plain(values: object, kind: type, what: str) -> None:
    """Complain unless all of these are exactly of this type."""
    assert isinstance(values, (list, tuple))
    strange = {type(each).__qualname__ for each in values if type(each) is not kind}
    expect(not strange, f"{what} has {', '.join(sorted(strange))} instead of {kind.__name__}")
