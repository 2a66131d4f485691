"""The engine and adapters, seen from the decoder: who shares a step, and what it is told."""

from __future__ import annotations

import pytest

import headrace
from headrace import BackendUnavailableError, ModelFormatError, SamplingParams, SessionParams
from headrace.params import EngineParams
from headrace_fake import FakeBackend

GREEDY = SamplingParams(temperature=0.0)


class Spy:
    """What a decoder was told, in order: its adapters, and whose rows its steps had."""

    def __init__(self, **options: object) -> None:
        self.backend = FakeBackend(mean_length=0, on_step=self._on_step, **options)
        self.model = headrace.load_model(
            "fake:", backend=self.backend, engine=EngineParams(n_sequences=4)
        )
        self.told: list[object] = []

    def _on_step(self, step_id, rows):
        decoder = self.backend.decoders[0]
        # The first letter after BOS says whose sequence it is.
        owners = {chr((decoder.memory(row.sequence) + list(row.tokens))[1]) for row in rows}
        self.told.append("".join(sorted(owners)))

    def watch(self) -> None:
        """Note what the decoder is told to use."""
        decoder = self.backend.decoders[0]
        use = decoder.use_adapters

        def noted(adapters):
            self.told.append([applied.loaded.info.name for applied in adapters])
            use(adapters)

        decoder.use_adapters = noted


@pytest.fixture
def spy():
    """A model that is watched; the engine must keep the protocol."""
    spy = Spy()
    yield spy
    spy.model.close()
    assert spy.backend.violations == ()


def test_only_sequences_with_equal_adapters_share_a_step(spy):
    """Two and two, read in turns by one thread."""
    first, second = (spy.model.load_adapter(f"fake:#seed={seed}") for seed in (1, 2))
    params = {"a": [first], "b": [first], "c": [second], "d": [(second, 0.5)]}
    sessions = {
        name: spy.model.open_session(SessionParams(adapters=uses)) for name, uses in params.items()
    }
    streams = [
        session.generate(name * 4, sampling=GREEDY, max_tokens=12)
        for name, session in sessions.items()
    ]
    for _ in range(12):
        for stream in streams:
            next(stream)
    owners = {told for told in spy.told if isinstance(told, str)}
    assert owners <= {"a", "b", "ab", "c", "d"}
    assert {"ab", "c", "d"} <= owners
    for stream in streams:
        stream.cancel()


def test_a_decoder_is_told_only_when_adapters_change(spy):
    """Not before every step."""
    adapter = spy.model.load_adapter("fake:#seed=1")
    with spy.model.open_session() as plain:
        spy.watch()
        plain.complete("x", sampling=GREEDY, max_tokens=3)
        assert ["seed 1"] not in spy.told
        assert [] not in spy.told
        with spy.model.open_session(SessionParams(adapters=[adapter])) as changed:
            changed.complete("y", sampling=GREEDY, max_tokens=3)
            plain.complete(None, sampling=GREEDY, max_tokens=2)
    assert spy.told == ["x"] * 3 + [["seed 1"]] + ["y"] * 3 + [[]] + ["x"] * 2


def test_an_interrupt_while_the_decoder_is_told_is_made_good(spy, monkeypatch):
    """What it uses then is not known, so it is told again."""
    adapter = spy.model.load_adapter("fake:#seed=1")
    with (
        spy.model.open_session(SessionParams(adapters=[adapter])) as session,
        spy.model.open_session(SessionParams(adapters=[adapter])) as other,
    ):
        wanted = other.complete("y", sampling=GREEDY, max_tokens=3).tokens
        other.set_adapters([])
        other.complete("x", sampling=GREEDY, max_tokens=1)
        decoder = spy.backend.decoders[0]
        use, calls = decoder.use_adapters, []

        def interrupted(adapters):
            calls.append(len(adapters))
            if len(calls) == 1:
                raise KeyboardInterrupt
            use(adapters)

        monkeypatch.setattr(decoder, "use_adapters", interrupted)
        stream = session.generate("y", sampling=GREEDY, max_tokens=3)
        with pytest.raises(KeyboardInterrupt):
            next(stream)
        stream.cancel()
        session.reset()
        got = session.complete("y", sampling=GREEDY, max_tokens=3).tokens
        assert got == wanted
        assert calls == [1, 1]


def test_an_adapter_gives_a_scripted_model_another_script():
    """For tests of programs that swap adapters."""
    with headrace.load_model("fake:Hello", backend="fake") as model:
        adapter = model.load_adapter("fake:Ahoy")
        assert adapter.name == "Ahoy"
        with model.open_session(SessionParams(adapters=[adapter])) as session:
            assert session.complete("Hi").text == "Ahoy"
            session.set_adapters([(adapter, 0)])
            assert session.complete("Hi").text == "Hello"
            session.set_control_vectors([model.load_control_vector("fake:Servus")])
            assert session.complete("Hi").text == "Servus"


@pytest.mark.parametrize(
    ("fault", "kind"), [("format", ModelFormatError), ("unavailable", BackendUnavailableError)]
)
def test_a_fake_adapter_fails_to_load_as_it_is_told(fault, kind):
    """As models do."""
    with (
        headrace.load_model("fake:", backend="fake") as model,
        pytest.raises(kind, match="as it was told to"),
    ):
        model.load_adapter(f"fake:#load_fault={fault}")
