"""Which models open sessions, and what the others say."""

from __future__ import annotations

import attrs
import pytest

from headrace.protocols import Truncation
from headrace_llamacpp.traits import Traits

DECODER = Traits(
    vocab_only=False,
    has_encoder=False,
    has_decoder=True,
    is_diffusion=False,
    is_causal=True,
    whole_only=False,
    n_swa=0,
)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"vocab_only": True}, "vocab_only=True"),
        ({"has_encoder": True}, "encoder-decoder"),
        ({"has_encoder": True, "has_decoder": False}, "an encoder"),
        ({"is_diffusion": True}, "diffusion"),
        ({"is_causal": False}, "an encoder"),
    ],
)
def test_a_model_that_writes_no_text_says_what_it_is(changes, said):
    """That is the hint of the UnsupportedError."""
    assert said in attrs.evolve(DECODER, **changes).generate_hint()


def test_a_decoder_opens_sessions():
    """Of whatever memory."""
    for changes in ({}, {"whole_only": True}, {"n_swa": 512}):
        assert attrs.evolve(DECODER, **changes).generate_hint() is None


@pytest.mark.parametrize(
    ("changes", "full_window", "truncation"),
    [
        ({}, False, Truncation.ANY),
        ({"n_swa": 512}, False, Truncation.RECENT),
        ({"n_swa": 512}, True, Truncation.ANY),
        ({"whole_only": True, "n_swa": 512}, True, Truncation.NONE),
    ],
)
def test_what_memory_can_forget_follows_from_its_kind(changes, full_window, truncation):
    """Only what can be cut anywhere can be shifted."""
    traits = attrs.evolve(DECODER, **changes)
    assert traits.truncation(full_window=full_window) is truncation
    assert traits.can_shift(full_window=full_window) is (truncation is Truncation.ANY)
