"""Conversations: what every backend with chat promises."""

from __future__ import annotations

import attrs
import pytest

from headrace import (
    BusyError,
    Capability,
    ChatMessage,
    ContextFullError,
    ParamsError,
    SessionParams,
    StopReason,
)
from headrace.protocols import Truncation

TEMPLATE = (
    "{% for m in messages %}{{ m.role }}: {{ m.content }}{{ eos_token }}\n{% endfor %}"
    "{% if add_generation_prompt %}assistant: {% endif %}"
)
HI = ChatMessage(role="user", content="Hi")


@pytest.fixture
def template(model):
    """Keywords for ``chat``: the tiny models have no template of their own, the fake has."""
    assert Capability.CHAT in model.capabilities
    return {} if model.info.backend == "fake" else {"template": TEMPLATE}


@pytest.fixture
def how(template, greedy):
    """Keywords for a short answer that is the same every time."""
    return {**template, "sampling": greedy, "max_tokens": 8}


def conversation(session, how, turns):
    """Talk for some turns; the completions and the messages so far."""
    messages, done = [ChatMessage(role="system", content="Be brief.")], []
    for turn in range(turns):
        messages.append(ChatMessage(role="user", content=f"Question {turn}"))
        done.append(session.complete_chat(messages, **how))
        messages.append(done[-1].message)
    return messages, done


def test_the_chunks_are_the_message(session, how):
    """Nothing is shown twice and nothing is left out."""
    stream = session.chat([HI], **how)
    text = "".join(chunk.content for chunk in stream)
    assert stream.result.message == ChatMessage(role="assistant", content=text)
    assert stream.result.finish_reason == "length"
    assert len(stream.result.tokens) == 8


def test_a_next_turn_runs_only_what_is_new(target, model, session, how):
    """What the history has of the conversation is neither run nor counted again.

    The tiny models' answers are no valid text, so that their next prompts have other tokens
    from there on: a memory that cannot be cut then begins anew.
    """
    _, (first, second, third) = conversation(session, how, 3)
    assert first.usage.cached_tokens == 0
    for earlier, later in ((first, second), (second, third)):
        assert later.usage.prompt_tokens > earlier.usage.prompt_tokens
    # No isolated target has a memory that cannot be cut.
    fake = model.info.backend == "fake"
    if fake or target.isolated or session._engine.info.truncation is Truncation.ANY:
        assert second.usage.cached_tokens >= first.usage.prompt_tokens - 1
        assert third.usage.cached_tokens >= second.usage.prompt_tokens - 1
        assert third.timings.prefill_tokens < third.usage.prompt_tokens / 2


def test_reuse_changes_no_token(model, session, how):
    """Each turn of a long session is what a fresh session answers."""
    messages, done = conversation(session, how, 3)
    for turn, answered in enumerate(done):
        with model.open_session() as fresh:
            again = fresh.complete_chat(messages[: 2 * turn + 2], **how)
        assert again.message == answered.message
        assert again.tokens == answered.tokens


def test_an_edited_turn_is_answered_like_a_new_conversation(model, session, how):
    """The history is cut to what is still common."""
    messages, _ = conversation(session, how, 2)
    edited = [*messages[:3], ChatMessage(role="user", content="Something else")]
    done = session.complete_chat(edited, **how)
    with model.open_session() as fresh:
        assert fresh.complete_chat(edited, **how).tokens == done.tokens
        assert fresh.tokens == session.tokens


def test_the_same_conversation_again_gives_the_same_answer(session, how):
    """Regenerating runs one token of the prompt."""
    first = session.complete_chat([HI], **how)
    again = session.complete_chat([HI], **how)
    assert again.message == first.message
    assert again.usage.prompt_tokens == first.usage.prompt_tokens


def test_the_prompt_begins_with_bos_once(model, session, how, template):
    """Also if the template writes it itself."""
    session.complete_chat([HI], **how)
    bos = model.info.special_tokens["bos"]
    assert session.tokens[0] == bos
    assert session.tokens[1] != bos
    if template:
        session.complete_chat([HI], **{**how, "template": "{{ bos_token }}" + TEMPLATE})
        assert session.tokens[0] == bos
        assert session.tokens[1] != bos


def test_what_is_wrong_is_said_before_anything_happens(session, how):
    """The history stays as it was."""
    session.complete_chat([HI], **how)
    before = session.tokens
    with pytest.raises(ParamsError, match=r"messages\[1\]"):
        session.chat([HI, {"role": "x", "content": ""}], **how)
    with pytest.raises(ParamsError, match="max_tokens"):
        session.chat([HI], **{**how, "max_tokens": -1})
    assert session.tokens == before


def test_log_probabilities_come_with_the_answer(session, how, greedy):
    """One for each token."""
    sampling = attrs.evolve(greedy, logprobs=1)
    done = session.complete_chat([HI], **{**how, "sampling": sampling})
    assert [each.token for each in done.logprobs] == list(done.tokens)


def test_one_answer_at_a_time(session, how):
    """The second is refused and leaves the first alone."""
    with session.chat([HI], **how) as stream:
        next(stream)
        with pytest.raises(BusyError):
            session.chat([HI], **how)
        assert len(list(stream)) > 0
    assert stream.result.stop_reason is StopReason.MAX_TOKENS


def test_a_conversation_that_does_not_fit_leaves_the_history(target):
    """In a session whose calls have a width too: it has less room than the context."""
    with target.load(n_ctx=64) as model:
        wide = Capability.SPECULATE in model.capabilities
        params = SessionParams(reproducible=wide, decode_width=8 if wide else None)
        session = model.open_session(params)
        how = {} if model.info.backend == "fake" else {"template": TEMPLATE}
        session.complete("Hello", max_tokens=2)
        before = session.tokens
        for length in range(20, 70):
            try:
                with session.chat([{"role": "user", "content": "x" * length}], **how):
                    pass
            except ContextFullError:
                break
            before = session.tokens
        else:
            pytest.fail("everything fits")
        assert session.tokens == before
