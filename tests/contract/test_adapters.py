"""Adapters and control vectors: which sessions they act on, and that they act on no other."""

from __future__ import annotations

import attrs
import pytest

from headrace import (
    Adapter,
    AdapterUse,
    BusyError,
    Capability,
    ClosedError,
    ControlVector,
    ControlVectorUse,
    ParamsError,
    SamplingParams,
    SessionParams,
    UnsupportedError,
)

GREEDY = SamplingParams(temperature=0.0)
PROMPT = "Once upon a time there was a miller who had three sons"
N = 24


def tokens(session, prompt=PROMPT, n=N):
    """What a session writes, greedily."""
    done = session.complete(prompt, sampling=GREEDY, max_tokens=n, ignore_eog=True)
    return done.tokens


def alone(model, **params):
    """What a session with these params writes, with nobody else at work."""
    with model.open_session(SessionParams(**params)) as session:
        return tokens(session)


@pytest.fixture
def adapters(target, model):
    """Two adapters."""
    return [model.load_adapter(target.adapter(seed)) for seed in (1, 2)]


@pytest.fixture
def vectors(target, model):
    """Two control vectors."""
    return [model.load_control_vector(target.vector(seed)) for seed in (1, 2)]


@pytest.fixture
def kinds(adapters, vectors):
    """Settings of sessions that all write something else."""
    first, second = adapters
    return [
        {},
        {"adapters": [first]},
        {"adapters": [second]},
        {"adapters": [(first, 0.5)]},
        {"adapters": [first, AdapterUse(second, 0.5)]},
        {"control_vectors": [vectors[0]]},
        {"control_vectors": [(vectors[0], -1.5)]},
        {"adapters": [first], "control_vectors": [ControlVectorUse(vectors[1])]},
    ]


def test_the_model_says_that_it_has_them(target, model, adapters, vectors):
    """And the handles tell what they are."""
    assert {Capability.LORA, Capability.CONTROL_VECTORS} <= model.capabilities
    assert isinstance(adapters[0], Adapter)
    assert isinstance(vectors[0], ControlVector)
    assert adapters[0].path == adapters[0].info.path == target.adapter(1)
    assert adapters[0].name in repr(adapters[0])


def test_each_makes_a_session_write_something_else_and_always_the_same(model, kinds):
    """Adapters, scales, sums and control vectors all act."""
    written = [alone(model, **kind) for kind in kinds]
    assert len(set(written)) == len(written)
    assert [alone(model, **kind) for kind in reversed(kinds)] == written[::-1]


def test_at_scale_zero_nothing_acts(model, adapters, vectors):
    """Not even beside another one."""
    first, second = adapters
    assert alone(model, adapters=[(first, 0)]) == alone(model)
    assert alone(model, control_vectors=[(vectors[0], 0.0)]) == alone(model)
    assert alone(model, adapters=[(first, 0), second]) == alone(model, adapters=[second])


def test_opposite_control_vectors_cancel(model, vectors, target):
    """The same one in both directions."""
    opposite = model.load_control_vector(target.vector(1))
    both = [vectors[0], (opposite, -1.0)]
    assert alone(model, control_vectors=both) == alone(model)


def test_sessions_with_other_adapters_do_not_touch_each_other(model, kinds):
    """Read in turns, each writes what it writes alone."""
    wanted = [alone(model, **kind) for kind in kinds]
    sessions = [model.open_session(SessionParams(**kind)) for kind in kinds]
    streams = [
        session.generate(PROMPT, sampling=GREEDY, max_tokens=N, ignore_eog=True)
        for session in sessions
    ]
    left = dict(enumerate(streams))
    while left:
        for number, stream in list(left.items()):
            if next(stream, None) is None:
                del left[number]
    assert [stream.result.tokens for stream in streams] == wanted
    for session in sessions:
        session.close()


@pytest.mark.parametrize("swap", ["adapters", "control_vectors"])
def test_a_session_given_others_goes_on_as_one_that_always_had_them(model, kinds, swap):
    """The history stays; what was computed of it does not."""
    before, after = ({}, kinds[2]) if swap == "adapters" else (kinds[1], kinds[7])
    with (
        model.open_session(SessionParams(**before)) as session,
        model.open_session(SessionParams(**after)) as other,
    ):
        tokens(session)
        history = session.tokens
        if swap == "adapters":
            session.set_adapters(after["adapters"])
        else:
            session.set_control_vectors(after["control_vectors"])
        got = session.complete(None, sampling=GREEDY, max_tokens=N, ignore_eog=True)
        assert session.tokens[: len(history)] == history
        assert got.usage.cached_tokens == 0
        assert got.tokens == tokens(other, history)


def test_a_session_given_what_it_had_keeps_its_memory(model, adapters):
    """Equal adapters at equal scales are the same."""
    with model.open_session(SessionParams(adapters=[adapters[0]])) as session:
        tokens(session)
        session.set_adapters([(adapters[0], 1.0)])
        done = session.complete(None, sampling=GREEDY, max_tokens=2, ignore_eog=True)
        assert done.usage.cached_tokens > 0


def test_a_prefix_is_shared_between_equal_adapters_only(model, adapters):
    """What others computed with something else is no beginning of this one."""
    with (
        model.open_session(SessionParams(adapters=[adapters[0]])) as donor,
        model.open_session(SessionParams(adapters=[adapters[0]])) as alike,
        model.open_session() as other,
    ):
        wanted, plain = alone(model, adapters=[adapters[0]]), alone(model)
        tokens(donor)
        stranger = other.complete(PROMPT, sampling=GREEDY, max_tokens=N, ignore_eog=True)
        assert (stranger.usage.cached_tokens, stranger.tokens) == (0, plain)
        assert tokens(alike) == wanted


def test_a_fork_has_the_same_adapters(model, adapters):
    """And may be given others."""
    with model.open_session(SessionParams(adapters=[adapters[0]])) as session:
        tokens(session)
        with session.fork() as forked, session.fork() as changed:
            assert forked.params.adapters == session.params.adapters
            changed.set_adapters([])
            assert tokens(forked, None) == tokens(session, None)
            assert changed.params.adapters == ()
            assert session.params.adapters != ()


def test_a_reproducible_session_repeats_itself_with_adapters(model, adapters, vectors):
    """Alone, beside others, and after having had others; the receipt names them."""
    params = SessionParams(
        reproducible=True, adapters=[(adapters[0], 0.75)], control_vectors=[vectors[0]]
    )
    with model.open_session(params) as first, model.open_session() as noise:
        wanted = first.complete(PROMPT, sampling=GREEDY, max_tokens=N, ignore_eog=True)
        assert wanted.receipt.reproducible
        assert wanted.receipt.adapters == ((adapters[0].name, 0.75), (vectors[0].name, 1.0))
        stream = noise.generate(PROMPT, sampling=GREEDY, ignore_eog=True)
        next(stream)
        with model.open_session(params) as second:
            second.set_adapters([])
            second.set_adapters(params.adapters)
            assert tokens(second) == wanted.tokens
        stream.cancel()


def test_adapters_are_not_changed_during_a_generation(model, adapters):
    """``BusyError``, and the session is as before."""
    with model.open_session() as session:
        stream = session.generate(PROMPT, sampling=GREEDY, ignore_eog=True)
        next(stream)
        with pytest.raises(BusyError):
            session.set_adapters([adapters[0]])
        stream.cancel()
        assert session.params.adapters == ()
        session.set_adapters([adapters[0]])
        assert session.params.adapters == (AdapterUse(adapters[0]),)


def test_a_closed_adapter_ends_its_sessions_generations(model, adapters):
    """The running one and later ones, until the session is given others."""
    params = SessionParams(adapters=[adapters[0]])
    with model.open_session(params) as session, model.open_session() as other:
        stream = session.generate(PROMPT, sampling=GREEDY, ignore_eog=True)
        next(stream)
        adapters[0].close()
        adapters[0].close()
        with pytest.raises(ClosedError, match="adapter"):
            list(stream)
        with pytest.raises(ClosedError, match="adapter"):
            session.generate("And")
        with pytest.raises(ClosedError, match="adapter"):
            model.open_session(params)
        history = session.tokens
        assert history
        session.set_adapters([])
        assert len(tokens(session, None)) == N
        assert session.tokens[: len(history)] == history
        assert tokens(other) == alone(model)


def test_an_adapter_belongs_to_the_model_that_loaded_it(target, model, adapters, session):
    """Another model's is refused, though it were of the same file."""
    with target.load() as stranger:
        foreign = stranger.load_adapter(target.adapter(1))
        with pytest.raises(ParamsError, match="another model"):
            model.open_session(SessionParams(adapters=[foreign]))
        with pytest.raises(ParamsError, match="another model"):
            session.set_adapters([adapters[0], foreign])
    assert session.params.adapters == ()
    assert foreign.closed


def test_adapters_are_closed_with_their_model(target):
    """Whatever is done with them afterwards says so."""
    with target.load() as model:
        adapter = model.load_adapter(target.adapter(1))
        vector = model.load_control_vector(target.vector(1))
        session = model.open_session(SessionParams(adapters=[adapter], control_vectors=[vector]))
        tokens(session)
    assert adapter.closed
    assert vector.closed
    for call in (
        lambda: model.load_adapter(target.adapter(1)),
        lambda: model.load_control_vector(target.vector(1)),
        lambda: session.set_adapters([]),
        adapter.check_open,
    ):
        with pytest.raises(ClosedError):
            call()
    adapter.close()


def test_a_handle_is_a_context_manager(target, model):
    """Closed at the end of the block."""
    with model.load_adapter(target.adapter(1)) as adapter:
        assert not adapter.closed
    assert adapter.closed


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("adapters", "lora.gguf"),
        ("adapters", 3),
        ("adapters", ["lora.gguf"]),
        ("control_vectors", [("vector.gguf", 1.0)]),
        ("adapters", None),
    ],
)
def test_what_is_no_adapter_is_refused(session, field, value):
    """With the name of the field and of the method that makes one."""
    with pytest.raises(ParamsError, match=rf"SessionParams\.{field} must"):
        SessionParams(**{field: value})
    change = session.set_adapters if field == "adapters" else session.set_control_vectors
    with pytest.raises(ParamsError, match=rf"SessionParams\.{field} must"):
        change(value)


def test_wrong_scales_and_doubles_are_refused(adapters, vectors):
    """Before anything is computed."""
    for scale in (float("nan"), float("inf"), "1", None, 1e5):
        with pytest.raises(ParamsError, match="scale"):
            SessionParams(adapters=[(adapters[0], scale)])
    with pytest.raises(ParamsError, match="strength"):
        ControlVectorUse(vectors[0], float("nan"))
    with pytest.raises(ParamsError, match="more than once"):
        SessionParams(adapters=[adapters[0], (adapters[0], 0.5)])
    with pytest.raises(ParamsError, match=r"SessionParams\.adapters"):
        SessionParams(adapters=[vectors[0]])
    with pytest.raises(ParamsError, match="last_layer"):
        ControlVectorUse(vectors[0], first_layer=3, last_layer=2)
    with pytest.raises(ParamsError, match="first_layer"):
        ControlVectorUse(vectors[0], first_layer=0)


@pytest.mark.parametrize("path", [3, "", "a\0b", None])
def test_what_is_no_path_is_refused(model, path):
    """For both kinds."""
    with pytest.raises(ParamsError, match="path"):
        model.load_adapter(path)
    with pytest.raises(ParamsError, match="path"):
        model.load_control_vector(path)


def test_a_state_is_continued_with_the_adapters_of_the_session_that_loads_it(model, adapters):
    """Memory that was computed with others is not taken over."""
    with (
        model.open_session() as plain,
        model.open_session(SessionParams(adapters=[adapters[0]])) as changed,
    ):
        tokens(plain)
        tokens(changed)
        for source, target in ((plain, changed), (changed, plain)):
            with model.open_session(target.params) as fresh, model.open_session() as loaded:
                wanted = tokens(fresh, source.tokens)
                loaded.load_state(source.state())
                loaded.set_adapters(target.params.adapters)
                assert tokens(loaded, None) == wanted
                loaded.load_state(source.state())
                assert tokens(loaded, None) == wanted


def test_a_model_that_opens_no_session_loads_no_adapter(target):
    """It says why."""
    if not target.name.startswith("fake"):
        pytest.skip("tested with files of its own in tests/integration/test_adapters.py")
    import headrace

    params = headrace.ModelParams(vocab_only=True)
    with (
        headrace.load_model("fake:", backend="fake", params=params) as model,
        pytest.raises(UnsupportedError, match="loads no adapters"),
    ):
        model.load_adapter("fake:")


def test_what_is_likeliest_with_an_adapter_is_what_is_written_and_what_a_score_says(
    target, model, greedy
):
    """Sampling, its log-probabilities and ``score`` compute with the same adapter."""
    adapter = model.load_adapter(target.adapter(1))
    sampling = attrs.evolve(greedy, logprobs=1)
    with model.open_session(SessionParams(adapters=[adapter])) as session:
        session.complete("The same", max_tokens=0)
        done = session.complete(None, sampling=sampling, max_tokens=12)
        session.rewind(to=len(session.tokens) - 12)
        score = session.score(list(done.tokens), top=1)
    assert [each.top[0][0] for each in done.logprobs] == list(done.tokens)
    assert [each[0][0] for each in score.top] == list(done.tokens)
    written = [each.logprob for each in done.logprobs]
    assert score.logprobs == pytest.approx(written, abs=1e-3)
