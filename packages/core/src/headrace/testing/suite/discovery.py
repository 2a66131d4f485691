"""How the backend presents itself before a model is loaded."""

from __future__ import annotations

from headrace.backend.plugins import validate_backend
from headrace.results import Capability
from headrace.testing.kit import Kit, NotApplicable, expect
from headrace.testing.rules import rule


@rule("discovery.found", without_model=True)
def found(kit: Kit) -> None:
    """The backend is installed, not quarantined, and found by its name."""
    from headrace.backend.plugins import discover

    name = kit.subject.backend
    if not isinstance(name, str):
        raise NotApplicable("the backend was given as an object, not by the name of a plugin")
    known = discover(refresh=True)
    held = [each for each in known.quarantine if name in (each.plugin, each.error.backend)]
    expect(not held, f"{name!r} is quarantined: {held[0].reason if held else ''}")
    names = ", ".join(each.name for each in known.backends)
    expect(known.find(name) is not None, f"no plugin registers {name!r}; found: {names or 'none'}")


@rule("discovery.protocol", without_model=True)
def protocol(kit: Kit) -> None:
    """Name, version, protocol version and methods are as the protocol says."""
    if isinstance(kit.subject.backend, str):
        validate_backend(kit.backend)
    else:
        validate_backend(kit.subject.backend)


@rule("discovery.can_load", without_model=True)
def can_load(kit: Kit) -> None:
    """can_load answers True or False to any reference and raises nothing."""
    subject = kit.subject
    strange = ["", "no such file", ".", "x" * 5000, "\ud800", "a\0b", "scheme://host/x?y#z"]
    for reference in [subject.model, subject.missing_model, *strange]:
        try:
            answer = kit.backend.can_load(reference)
        except Exception as error:
            raise AssertionError(
                f"can_load({reference!r:.40}) raised {type(error).__name__}: {error}"
            ) from error
        expect(isinstance(answer, bool), f"can_load({reference!r:.40}) returned {answer!r}")


@rule("discovery.capabilities")
def capabilities(kit: Kit) -> None:
    """What a model can do is among what the backend promised."""
    promised, has = kit.backend.capabilities(), kit.model.capabilities
    expect(all(isinstance(each, Capability) for each in has), f"model.capabilities is {has!r}")
    more = sorted(str(each) for each in has - promised)
    expect(not more, f"the model has {', '.join(more)}, which backend.capabilities() lacks")
    expect(Capability.GENERATE in has, "a model to test must be able to generate")
