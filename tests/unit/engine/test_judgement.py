"""``speculate="auto"``: drafts where they pay by what steps take, on machines that are made up."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace import ParamsError, PromptLookup, SessionParams
from headrace.engine.judgement import LONGEST, Costs, Faith, Judge, JudgedDrafter, Situation
from tests.unit.engine.conftest import GREEDY

SCRIPT = "the mill at the end of the valley " * 20


def of_blocks(rows, drafted):
    """A small model on a CPU: two tokens take twice as long as one, four hardly longer."""
    width = rows + drafted
    return 1.0 if width == 1 else 2.0 + 0.7 * -(-width // 4)


def of_memory(rows, drafted):
    """A large model: a step costs the reading of its weights, whatever its width."""
    return 1.0 + 0.01 * (rows + drafted)


def of_arithmetic(rows, drafted):
    """Every token costs the same: no draft ever pays."""
    return float(rows + drafted)


SMALL = {0: 1.0, 1: 2.04, 2: 2.49, 3: 2.72, 4: 4.11, 7: 4.7, 11: 6.3, 15: 8.2}


def of_a_small_model(rows, drafted):
    """Much as Gemma 3 270M on two threads: a short draft costs nearly what it can bring."""
    if rows > 1:
        return of_blocks(rows, drafted)
    above = min(each for each in SMALL if each >= min(drafted, 15))
    return SMALL[above]


MACHINES = {
    "small": of_a_small_model,
    "blocks": of_blocks,
    "memory": of_memory,
    "arithmetic": of_arithmetic,
}


def copying(length, seed=0):
    """A passage, and then the same again and again."""
    chosen = random.Random(seed)
    passage = [chosen.randrange(5000) for _ in range(100)]
    return (passage * (length // 100 + 2))[: length + 100]


def free(length, seed=0):
    """Few words, in any order: pairs of them come again, and are followed by something else."""
    chosen = random.Random(seed)
    return [chosen.randrange(12) for _ in range(length + 100)]


def mixed(length, seed=0):
    """Free text with quotations of what came before."""
    chosen = random.Random(seed)
    line = free(100, seed)
    while len(line) < length + 100:
        at = chosen.randrange(len(line) - 40)
        line += line[at : at + 30] if chosen.random() < 0.5 else free(0, len(line))[:30]
    return line[: length + 100]


TEXTS = {"copying": copying, "free": free, "mixed": mixed}


class Machine:
    """Writes given texts with drafts, a stream each, and counts what its steps would take."""

    def __init__(self, cost, texts, noise=lambda: 1.0):
        self.cost = cost
        self.noise = noise
        self.judge = Judge()
        self.texts = texts
        self.lengths = [100] * len(texts)
        self.step = 0
        self.drafters = [
            JudgedDrafter(self.judge, self.situation, clock=lambda: 0.0) for _ in texts
        ]
        self.seconds = 0.0
        self.drafted = 0

    def situation(self):
        """All streams decode."""
        return Situation(self.step, len(self.texts))

    def run(self, tokens):
        """Seconds until each stream has so many tokens more, and those of plain decoding."""
        ends = [length + tokens for length in self.lengths]
        self.seconds, plain = 0.0, 0.0
        while any(at < end for at, end in zip(self.lengths, ends, strict=True)):
            self.step += 1
            gains, drafted = [], 0
            for text, at, drafter in zip(self.texts, self.lengths, self.drafters, strict=True):
                proposed = drafter.propose(text[:at], LONGEST, lambda: False, None)
                drafted += len(proposed)
                pairs = zip(proposed, text[at:], strict=False)
                gains.append(next((i for i, (a, b) in enumerate(pairs) if a != b), len(proposed)))
            self.drafted += drafted
            seconds = self.cost(len(self.texts), drafted) * self.noise()
            self.judge.costs.learn(len(self.texts), drafted, seconds)
            self.seconds += seconds
            self.lengths = [at + 1 + gain for at, gain in zip(self.lengths, gains, strict=True)]
            plain += self.cost(len(self.texts), 0) * sum(1 + g for g in gains) / len(gains)
        return self.seconds, plain


@pytest.mark.parametrize("streams", [1, 4])
@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("machine", MACHINES)
def test_it_is_never_slower_than_plain(machine, text, streams):
    """By 3 % at most, the trials that find out what pays included."""
    texts = [TEXTS[text](1500, seed) for seed in range(streams)]
    seconds, plain = Machine(MACHINES[machine], texts).run(1000)
    assert plain / seconds > 0.97


@pytest.mark.parametrize("streams", [1, 4])
@pytest.mark.parametrize(("machine", "least"), [("blocks", 1.5), ("memory", 5.0)])
def test_what_quotes_is_faster_where_steps_allow(machine, least, streams):
    """A copied text, soon after its first repetition."""
    texts = [copying(1500, seed) for seed in range(streams)]
    seconds, plain = Machine(MACHINES[machine], texts).run(1000)
    assert plain / seconds > (least if streams == 1 else 1.1)


def test_where_no_draft_pays_hardly_any_is_tried():
    """Once to see what it takes, then ever more seldom."""
    machine = Machine(of_arithmetic, [copying(6000)])
    machine.run(2000)
    at_first = machine.drafted
    seconds, plain = machine.run(3000)
    assert plain / seconds > 0.99
    assert 0 < machine.drafted - at_first < 100


def test_a_machine_that_becomes_busy_is_judged_anew():
    """Drafts that paid stop; when they pay again they come back."""
    machine = Machine(of_memory, [copying(20_000)])
    machine.run(500)
    before = machine.drafted
    machine.cost = of_arithmetic
    machine.run(3000)
    assert machine.drafted - before < 1500
    machine.cost = of_memory
    before = machine.drafted
    machine.run(6000)
    assert machine.drafted - before > 2000


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 2**32))
def test_steps_that_something_held_up_do_not_mislead_it(seed):
    """One in twenty takes forty times as long: what it costs to be wrong stays small."""
    chosen = random.Random(seed)
    noisy = Machine(of_blocks, [mixed(1500, seed)], lambda: 40 if chosen.random() < 0.05 else 1)
    # Of what the judgement did, not of the noise: the steps by what they take undisturbed.
    noisy.run(1000)
    calm = Machine(of_blocks, [mixed(1500, seed)])
    calm.judge.costs = noisy.judge.costs
    seconds, plain = calm.run(1000)
    assert plain / seconds > 0.95


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(1, 8), st.integers(0, 31), st.floats(0, 1e6)),
        max_size=80,
    )
)
def test_what_a_step_is_worth_stays_within_bounds(steps):
    """At least the step that it is, at most one for each token."""
    costs = Costs()
    for rows, drafted, seconds in steps:
        costs.learn(rows, drafted, seconds)
        for width in range(1, 32):
            assert 1.0 <= costs.ratio(rows, width) <= 1.0 + width + 1e-9
        assert costs.ratio(rows, 0) == 1.0


def test_one_width_tells_of_those_between():
    """Along straight lines; beyond the last there is hope."""
    costs = Costs()
    costs.learn(1, 0, 1.0)
    costs.learn(1, 2, 2.0)
    costs.learn(1, 6, 3.0)
    assert costs.ratio(1, 1) == pytest.approx(1.5)
    assert costs.ratio(1, 4) == pytest.approx(2.5)
    assert costs.ratio(1, 10) == pytest.approx(4.0)
    assert costs.ratio(2, 4) == pytest.approx(2.0)


def test_the_first_draft_is_short_and_the_next_no_more_than_twice_as_long():
    """A width that was never tried may take any time."""
    judge = Judge()
    judge.costs.learn(1, 0, 1.0)
    lengths = []
    for step in range(4):
        lengths.append(judge.length(step, 1, [0.999] * LONGEST))
        judge.costs.learn(1, lengths[-1], 1.1)
    assert lengths == [3, 6, 12, 15]


def test_faith_is_kept_apart_by_what_is_in_common():
    """A long quotation is not disbelieved because of pairs of words."""
    faith = Faith()
    for _ in range(20):
        faith = faith.after(2, 0, failed=True).after(20, 15, failed=False)
    assert faith.chance(2) < 0.1
    assert faith.chance(20) > 0.98
    assert faith.chance(5) == Faith().chance(5)


def test_a_token_counts_for_what_was_in_common_when_it_came():
    """A quotation that lasts does not speak for its first words."""
    faith = Faith().after(6, 4, failed=True)  # after 6, 7, 8 and 9 one held; after 10 it failed
    assert faith.chance(3) == Faith().chance(3)
    assert faith.chance(6) > Faith().chance(6)
    assert faith.chance(10) == pytest.approx((0.95 * 1.5 + 2) / (0.95 * 3 + 3))
    assert faith.chance(20) == Faith().chance(20)
    failed = Faith().after(2, 0, failed=True)
    assert failed.chance(2) < Faith().chance(2)
    assert failed.chance(4) == Faith().chance(4)


@given(st.integers(1, 32), st.integers(0, 31), st.booleans())
def test_no_token_is_counted_twice(run, held, failed):
    """However many lengths a proposal passes through."""
    before = Faith(held=(0.0,) * 4, failed=(0.0,) * 4)
    after = before.after(run, held, failed=failed)
    assert sum(after.held) == held
    assert sum(after.failed) == failed


def test_it_learns_from_what_was_not_drafted():
    """The first steps have no draft, for nothing is known of what they take."""
    machine = Machine(of_arithmetic, [copying(1500)])
    drafter = machine.drafters[0]
    machine.judge.costs.ready = lambda rows: False
    machine.run(400)
    assert machine.drafted == 0
    assert drafter.faith.chance(20) > Faith().chance(20)


def test_drafts_of_one_step_are_judged_together():
    """What was decided for one row makes the step longer for the next."""
    judge = Judge()
    judge.costs.learn(2, 0, 1.0)
    judge.costs.learn(2, 4, 1.4)
    judge.costs.learn(2, 8, 9.0)
    assert judge.length(1, 2, [0.99] * 4) == 4
    assert judge.length(1, 2, [0.99] * 4) == 0
    assert judge.length(2, 2, [0.99] * 4) == 4


def test_beside_a_prefill_nothing_is_drafted():
    """Nor looked for."""
    drafter = JudgedDrafter(Judge(), lambda: None)
    assert drafter.propose([1, 2, 3, 1, 2, 3], 4, lambda: False, None) == ()


def test_where_looking_takes_long_it_is_done_seldom():
    """Two hundredths of a step's time may go into it."""
    now = iter(range(10_000))
    judge = Judge()
    judge.costs.learn(1, 0, 5.0)
    drafter = JudgedDrafter(judge, lambda: Situation(1, 1), clock=lambda: float(next(now)))
    line = copying(300)
    for at in range(100, 300):
        drafter.propose(line[:at], 4, lambda: False, None)
    assert next(now) < 2 * 40


def test_a_line_that_was_cut_teaches_nothing():
    """What was proposed behind the cut is forgotten."""
    judge = Judge()
    judge.costs.learn(1, 0, 1.0)
    drafter = JudgedDrafter(judge, lambda: Situation(1, 1), clock=lambda: 0.0)
    line = copying(100)
    drafter.propose(line[:150], 4, lambda: False, None)
    drafter.propose(line[:120], 4, lambda: False, None)
    assert drafter.faith == Faith()


@pytest.fixture
def costly(monkeypatch):
    """Have steps take what a machine that is made up says, not what the clock says."""
    learn = Costs.learn

    def choose(cost):
        def simulated(self, rows, drafted, seconds):
            learn(self, rows, drafted, cost(rows, drafted))

        monkeypatch.setattr(Costs, "learn", simulated)

    return choose


def finish(streams):
    """Read them in turns to their ends; what each wrote, and how many tokens were drafted."""
    left = list(streams)
    while left:
        left = [stream for stream in left if next(stream, None) is not None]
    results = [stream.result for stream in streams]
    return [each.tokens for each in results], [each.timings.drafted_tokens for each in results]


def begun(engine, params, prompts, tokens=120):
    """Streams of sessions of their own."""
    sessions = [engine.model.open_session(params) for _ in prompts]
    return [
        session.generate(prompt, sampling=GREEDY, max_tokens=tokens, ignore_eog=True)
        for session, prompt in zip(sessions, prompts, strict=True)
    ]


@pytest.mark.parametrize("streams", [1, 3])
@pytest.mark.parametrize(("cost", "drafts"), [(of_memory, True), (of_arithmetic, False)])
def test_an_engine_drafts_where_it_pays_and_writes_the_same(fake, costly, cost, drafts, streams):
    """Alone and beside neighbours."""
    costly(cost)
    prompts = [SCRIPT[: 40 + index] for index in range(streams)]
    engine = fake(script=SCRIPT)
    expected, none = finish(begun(engine, SessionParams(), prompts))
    found, drafted = finish(begun(engine, SessionParams(speculate="auto"), prompts))
    assert found == expected
    assert sum(none) == 0
    assert (sum(drafted) > 60 * streams) is drafts


def test_what_a_neighbour_drafts_counts_for_plain_sessions_too(fake, costly):
    """Where a draft costs all of them more than it brings, it stays away."""
    costly(lambda rows, drafted: 1.0 + (drafted and (1.0 if rows == 1 else 9.0)))
    engine = fake(script=SCRIPT)
    auto = SessionParams(speculate="auto")
    _, alone = finish(begun(engine, auto, [SCRIPT[:40]]))
    _, beside = finish(
        begun(engine, auto, [SCRIPT[:40]]) + begun(engine, SessionParams(), [SCRIPT[:41]] * 3)
    )
    assert alone[0] > 60
    assert beside[0] < 10


def test_a_reproducible_session_is_not_judged_by_the_clock(fake, monkeypatch):
    """Of width 1 it drafts nothing; where calls are filled up, all that was found."""
    monkeypatch.setattr(Costs, "learn", lambda *_: pytest.fail("the clock was asked"))
    engine = fake(script=SCRIPT)
    for width, drafts in ((None, False), (8, True)):
        plain = SessionParams(reproducible=True, decode_width=width)
        auto = SessionParams(reproducible=True, decode_width=width, speculate="auto")
        expected, _ = finish(begun(engine, plain, [SCRIPT[:40]]))
        found, drafted = finish(begun(engine, auto, [SCRIPT[:40]]))
        assert found == expected
        assert (drafted[0] > 60) is drafts


def test_memory_that_cannot_forget_has_no_drafts_and_no_error(fake):
    """A session that asks for a PromptLookup is refused there; this one leaves it to headrace."""
    engine = fake(script=SCRIPT, truncation="none")
    found, drafted = finish(begun(engine, SessionParams(speculate="auto"), [SCRIPT[:40]]))
    assert found == finish(begun(engine, SessionParams(), [SCRIPT[:40]]))[0]
    assert drafted == [0]


@pytest.mark.parametrize("wrong", ["Auto", "", "lookup", True, 7, PromptLookup])
def test_another_value_is_named_with_what_is_allowed(wrong):
    """Field, value and remedy."""
    with pytest.raises(ParamsError, match=r"SessionParams\.speculate must be 'auto', a PromptLook"):
        SessionParams(speculate=wrong)
