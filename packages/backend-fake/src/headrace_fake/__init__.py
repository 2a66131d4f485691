"""A headrace backend for tests: scripted text, delays and faults, always the same.

It implements the sequence decoder like an in-process library would, keeps its
memory as the token lists themselves, and checks every call against the
protocol, so that what a test proves about the engine with it holds for a real
library too.
"""

from typing import TYPE_CHECKING

from headrace.common.later import attributes
from headrace_fake._version import __version__
from headrace_fake.backend import FakeBackend
from headrace_fake.misuse import MisuseError
from headrace_fake.options import FakeOptions, Fault, LoadFault, Placement

if TYPE_CHECKING:
    from headrace_fake.decoder import FakeDecoder
    from headrace_fake.model import FakeModel
    from headrace_fake.vocabulary import BOS, EOS, ByteVocabulary

_LATER = {
    "headrace_fake.decoder": ("FakeDecoder",),
    "headrace_fake.model": ("FakeModel",),
    "headrace_fake.vocabulary": ("BOS", "EOS", "ByteVocabulary"),
}
"""What discovery, which imports this package for every program, has no use for."""
if not TYPE_CHECKING:
    __getattr__, __dir__ = attributes(globals(), _LATER)

__all__ = [
    "BOS",
    "EOS",
    "ByteVocabulary",
    "FakeBackend",
    "FakeDecoder",
    "FakeModel",
    "FakeOptions",
    "Fault",
    "LoadFault",
    "MisuseError",
    "Placement",
    "__version__",
]
