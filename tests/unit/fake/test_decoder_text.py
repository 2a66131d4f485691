"""What the fake writes is a function of its script or seed, the sampling, and all of memory."""

from __future__ import annotations

import attrs
import pytest

from headrace.params import SamplingParams
from headrace_fake import MisuseError

GREEDY = SamplingParams(temperature=0.0)
PROMPT = list(b"Once upon a time")


def test_a_script_is_written_and_then_the_generation_ends(open_bench):
    """The dollar sign stands for EOS."""
    assert open_bench(script="Hi!").write(PROMPT, 4) == b"Hi!$"


def test_each_generation_writes_the_script_from_its_beginning(open_bench):
    """Also one that follows another in the same memory."""
    bench = open_bench(script="Hi!")
    bench.write(PROMPT, 2)
    assert bench.write(list(b"i more"), 4) == b"Hi!$"


def test_a_script_may_be_any_bytes(open_bench):
    """Invalid UTF-8 is what text layers must survive."""
    assert open_bench(script=b"\xf0\x9f\xff").write(PROMPT, 3) == b"\xf0\x9f\xff"


def test_with_eog_banned_a_script_starts_over(open_bench):
    """An empty one writes spaces."""
    assert open_bench(script="ab").write(PROMPT, 5, ban_eog=True) == b"ababa"
    assert open_bench(script="").write(PROMPT, 2, ban_eog=True) == b"  "
    assert open_bench(script="").write(PROMPT, 1) == b"$"


def test_seeded_text_repeats_itself(open_bench):
    """Two decoders, one text."""
    assert open_bench(seed=5).write(PROMPT, 30, ban_eog=True) == open_bench(seed=5).write(
        PROMPT, 30, ban_eog=True
    )


def test_seeded_text_depends_on_the_seed_of_the_options(open_bench):
    """Different models say different things."""
    assert open_bench(seed=5).write(PROMPT, 30, ban_eog=True) != open_bench(seed=6).write(
        PROMPT, 30, ban_eog=True
    )


def test_seeded_text_does_not_depend_on_how_the_prompt_is_cut(open_bench):
    """A prefill in chunks leaves the same memory."""
    bench = open_bench()
    whole = bench.write(PROMPT, 20, ban_eog=True)
    bench.run(PROMPT[:3], sequence=1)
    bench.run(PROMPT[3:4], sequence=1)
    assert bench.write(PROMPT[4:], 20, sequence=1, ban_eog=True) == whole


@pytest.mark.parametrize(
    "memory",
    [
        [*PROMPT, 1],
        PROMPT[:-1],
        PROMPT[1:],
        [*PROMPT[:4], *PROMPT[5:]],
        [PROMPT[1], PROMPT[0], *PROMPT[2:]],
        [256, *PROMPT],
    ],
)
def test_any_difference_in_memory_changes_seeded_text(open_bench, memory):
    """A token too much, too few, missing, swapped: each is visible in the output."""
    assert open_bench().write(PROMPT, 30, ban_eog=True) != open_bench().write(
        memory, 30, ban_eog=True
    )


def test_greedy_text_ignores_the_sampling_seed_and_drawn_text_follows_it(open_bench):
    """As with a real sampler."""

    def text(seed, temperature):
        bench = open_bench()
        return bench.write(PROMPT, 30, seed=seed, temperature=temperature, ban_eog=True)

    assert text(1, 0.0) == text(2, 0.0)
    assert text(1, 0.8) == text(1, 0.8)
    assert text(1, 0.8) != text(2, 0.8)
    assert text(1, 0.8) != text(1, 0.0)


def test_a_repeat_penalty_looks_at_the_recent_tokens(open_bench):
    """A sampler built from another end of the history writes something else."""
    bench = open_bench()

    def text(n_recent, penalty):
        bench.decoder.clear(0)
        params = attrs.evolve(GREEDY, repeat_penalty=penalty)
        recent = PROMPT[-n_recent:]
        sampler = bench.decoder.new_sampler(params, seed=1, recent=recent, ban_eog=True)
        written = []
        tokens = PROMPT
        for _ in range(20):
            (token,) = tokens = bench.run(tokens, sampler).rows[0].tokens
            written.append(token)
        return written

    whole = len(PROMPT)
    assert text(1, 1.0) == text(whole, 1.0)
    assert text(whole, 3.0) == text(whole, 3.0)
    assert text(1, 3.0) != text(whole, 3.0)


def test_seeded_text_ends_after_its_mean_length_or_never(open_bench):
    """``mean_length=1`` ends at once, 0 never."""
    assert open_bench(mean_length=1).write(PROMPT, 1) == b"$"
    assert b"$" not in open_bench(mean_length=0).write(PROMPT, 500)
    assert b"$" in open_bench(mean_length=8).write(PROMPT, 500)
    assert b"$" not in open_bench(mean_length=1).write(PROMPT, 50, ban_eog=True)


def test_memory_that_changed_behind_a_samplers_back_is_a_misuse(open_bench):
    """A generation goes on from what it wrote, whatever else happened to the memory."""
    bench = open_bench(script="Hello")
    sampler = bench.sampler()
    bench.run(PROMPT, sampler)
    with pytest.raises(MisuseError, match="it holds something else"):
        bench.run(list(b"not H"), sampler)
    assert len(bench.backend.violations) == 1


def test_memory_that_does_not_end_with_the_samplers_history_is_a_misuse(open_bench):
    """What was left over or forgotten before a generation is noticed at its first token."""
    bench = open_bench(script="Hello")

    def sampler(recent):
        return bench.decoder.new_sampler(GREEDY, seed=1, recent=recent, ban_eog=False)

    assert bench.run(PROMPT, sampler(PROMPT[-3:])).rows[0].tokens == (ord("H"),)
    with pytest.raises(MisuseError, match="must end with the history"):
        bench.run(b"!", sampler(PROMPT[-3:]))


def test_a_sampler_goes_on_after_its_memory_was_rebuilt(open_bench):
    """Dropping and rebuilding memory is time, never different text."""
    bench = open_bench(seed=3)
    sampler = bench.sampler(ban_eog=True)
    (first,) = bench.run(PROMPT, sampler).rows[0].tokens
    bench.decoder.clear(0)
    bench.run(PROMPT[:5], sequence=2)
    (second,) = bench.run([*PROMPT[5:], first], sampler, sequence=2).rows[0].tokens
    assert bytes([first, second]) == open_bench(seed=3).write(PROMPT, 2, ban_eog=True)
