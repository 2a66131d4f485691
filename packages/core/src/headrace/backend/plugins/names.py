"""Who has a name that several plugins want: a backend's name, a host's, a resolver's scheme.

The order in which plugins are found says nothing of whose a name is. Its own
entry point does: who installs a distribution whose entry point is ``llamacpp``
wants the backend ``llamacpp`` of it, and not that of another one that happens
to sort before.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import attrs

from headrace.backend.plugins.registration import BACKENDS, Installed, Kind
from headrace.backend.plugins.sources import Source, normal
from headrace.errors import BackendProtocolError


@attrs.frozen(eq=False)
class Claim:
    """Something that passed every check, and asks for its name."""

    kind: Kind
    installed: Installed
    source: Source
    own: bool
    """Whether headrace brings it itself."""

    @property
    def rank(self) -> tuple[bool, bool, bool]:
        """The lowest has the name; of equals the first one."""
        name, distribution = self.installed.name, self.source.distribution or ""
        return (
            not self.own,
            self.source.plugin != name,
            normal(distribution) != normal(f"headrace-{name}"),
        )


def settle(claims: Iterable[Claim]) -> Iterator[tuple[Claim, BackendProtocolError | None]]:
    """Each claim, with the error of those whose name is another's."""
    claims = list(claims)
    for claim in claims:
        rivals = [each for each in claims if _same_name(each, claim)]
        best = min(rivals, key=lambda each: each.rank) if claim.kind.unique else claim
        yield claim, None if best is claim else _taken(claim, best)


def _same_name(one: Claim, other: Claim) -> bool:
    return one.kind is other.kind and one.installed.name == other.installed.name


def _taken(claim: Claim, best: Claim) -> BackendProtocolError:
    name, noun = claim.installed.name, claim.kind.noun
    return BackendProtocolError(
        f"plugin {claim.source.plugin!r} of {_owner(claim)} brings a second {noun} named "
        f"{name!r}; the one of {_owner(best)} is used",
        hint="Uninstall one of them, or choose plugins with HEADRACE_PLUGINS.",
        backend=name if claim.kind is BACKENDS else None,
    )


def _owner(claim: Claim) -> str:
    return claim.source.distribution or f"plugin {claim.source.plugin!r}"
