"""Questions that load nothing: devices, memory, what a model computes with."""

from __future__ import annotations

import attrs
import pytest

import headrace
from headrace import BackendError, EngineParams, ModelMemoryError, ModelParams, UnsupportedError
from headrace.errors import BackendProtocolError
from headrace.inspection.devices import survey
from headrace.protocols import Model
from headrace.results.machine import DeviceMemory, MemoryEstimate
from headrace_fake import FakeBackend


class Plain:
    """A backend that knows none of it."""

    name = "plain"
    protocol_version = 2
    version = "1"

    def can_load(self, reference):
        """Nothing."""
        return False

    def load(self, request):
        """Never called."""
        raise NotImplementedError

    def capabilities(self):
        """None."""
        return frozenset()


class Broken(Plain):
    """A backend with a defect in what it knows."""

    name = "broken"

    def devices(self):
        """Fails."""
        raise KeyError("nowhere")

    def estimate(self, request):
        """Fails."""
        raise KeyError("nowhere")


def test_devices_of_a_backend_that_is_given():
    """The fake has one."""
    (device,) = headrace.devices(backend=FakeBackend(memory=5))
    assert (device.name, device.backend, device.memory_free) == ("FAKE", "fake", 5)


def test_devices_of_all_installed_backends():
    """The fake's are among them, and every name is told with its backend."""
    assert ("fake", "FAKE") in {(each.backend, each.name) for each in headrace.devices()}


def test_a_backend_that_knows_no_devices_says_so():
    """Asked by name; among others it is passed over."""
    with pytest.raises(UnsupportedError, match="'plain' does not list devices"):
        headrace.devices(backend=Plain())
    assert survey([Plain(), FakeBackend()]).devices == headrace.devices(backend=FakeBackend())


def test_a_backend_that_fails_does_not_hide_the_others():
    """Its failure is told beside what the others said."""
    found = survey([Broken(), FakeBackend()])
    assert [each.name for each in found.devices] == ["FAKE"]
    assert "KeyError" in str(found.failures["broken"])
    with pytest.raises(BackendError, match="raised KeyError in estimate"):
        headrace.estimate_memory("any", backend=Broken())


def test_an_estimate_says_what_would_be_needed():
    """Without loading anything, for the settings given."""
    backend = FakeBackend(memory=2_000_000)
    small = headrace.estimate_memory("fake:", backend=backend, engine=EngineParams(n_ctx=512))
    large = headrace.estimate_memory("fake:", backend=backend, engine=EngineParams(n_ctx=4096))
    assert small.n_ctx == 512
    assert small.total == small.weights + small.cache + small.compute
    assert large.cache == 8 * small.cache
    assert small.fits
    assert not large.fits
    assert backend.decoders == []


def test_a_backend_that_estimates_nothing_says_so():
    """As an error with its name."""
    with pytest.raises(UnsupportedError, match="'plain' does not estimate memory"):
        headrace.estimate_memory("any", backend=Plain())
    with pytest.raises(headrace.ParamsError, match="estimate_memory's engine must be EngineParams"):
        headrace.estimate_memory("fake:", engine=ModelParams())


def test_what_does_not_fit_is_refused_unless_it_is_not_to_be_checked():
    """A model when it is loaded, a context when its first session opens; the model stays usable."""
    with pytest.raises(ModelMemoryError, match="fake model needs"):
        headrace.load_model("fake:", backend=FakeBackend(memory=10))
    tight = FakeBackend(memory=1_100_000)
    with headrace.load_model("fake:", backend=tight) as model:
        with pytest.raises(ModelMemoryError, match="context of 4096 tokens"):
            model.open_session()
        assert model.tokenize("still here")
    with headrace.load_model("fake:", backend=tight, engine=EngineParams(n_ctx=64)) as model:
        model.open_session().close()
    unchecked = ModelParams(check_memory=False)
    with headrace.load_model("fake:", backend=tight, params=unchecked) as model:
        model.open_session().close()


@pytest.mark.parametrize(
    ("change", "fits"),
    [
        ({}, True),
        ({"free": 59}, False),
        ({"free": 60}, True),
        ({"free": 59, "mapped": 1}, True),
        ({"free": 1, "mapped": 10}, False),
        ({"free": None}, True),
        ({"address_space": 59, "mapped": 10}, False),
        ({"address_space": 60}, True),
    ],
)
def test_mapped_weights_need_addresses_but_no_memory(change, fits):
    """What is required must fit what is free; everything must fit the address space."""
    need = DeviceMemory(device="CPU", weights=10, cache=20, compute=30, free=100)
    need = attrs.evolve(need, **change)
    assert need.total == 60
    assert need.fits is fits
    assert MemoryEstimate(backend="x", n_ctx=1, devices=(need, need)).fits is fits


def test_a_model_tells_what_it_computes_with():
    """Threads and devices are those in use."""
    engine = EngineParams(n_threads=3, n_threads_batch=5)
    with headrace.load_model("fake:", engine=engine) as model:
        info = model.system_info()
        assert info.build == model.info.build
    assert (info.n_threads, info.n_threads_batch, info.devices) == (3, 5, ("FAKE",))


def test_a_model_whose_backend_does_not_tell_says_so():
    """The default of every model."""
    model = headrace.load_model("fake:")
    with model, pytest.raises(UnsupportedError, match="has no system_info"):
        Model._system_info(model)


class Odd(Plain):
    """A backend that answers something else, or falls over."""

    name = "odd"

    def __init__(self, answer):
        self.devices = self.estimate = answer


def exits(*what):
    """As a panic does, it ends the program if nobody stops it."""
    raise SystemExit(3)


def test_a_backend_that_would_end_the_program_is_named():
    """The devices of the others are there all the same."""
    seen = survey([Odd(exits), FakeBackend()])
    assert [each.name for each in seen.devices] == ["FAKE"]
    assert "raised SystemExit in devices: 3" in str(seen.failures["odd"])
    with pytest.raises(BackendError, match="'odd' raised SystemExit in estimate: 3"):
        headrace.estimate_memory("x", backend=Odd(exits))


def test_an_answer_that_is_none_is_named():
    """Where it comes in, and not where it is shown."""
    odd = Odd(lambda *what: [3])
    assert "in devices: 3 instead of a Device" in str(survey([odd]).failures["odd"])
    with pytest.raises(BackendProtocolError, match=r"\[3\] instead of a MemoryEstimate"):
        headrace.estimate_memory("x", backend=odd)


def test_a_list_of_devices_that_raises_when_looked_for_is_named():
    """``isinstance`` asks for it, too."""

    class Property(Plain):
        name = "property"
        devices = property(lambda self: 1 / 0)

    assert "ZeroDivisionError" in str(survey([Property()]).failures["property"])
