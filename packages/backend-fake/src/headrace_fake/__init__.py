"""A headrace backend for tests: scripted text, delays and faults, always the same.

It implements the sequence decoder like an in-process library would, keeps its
memory as the token lists themselves, and checks every call against the
protocol, so that what a test proves about the engine with it holds for a real
library too.
"""

from headrace_fake._version import __version__
from headrace_fake.backend import FakeBackend
from headrace_fake.decoder import FakeDecoder
from headrace_fake.misuse import MisuseError
from headrace_fake.model import FakeModel
from headrace_fake.options import FakeOptions, Fault, LoadFault, Placement
from headrace_fake.vocabulary import BOS, EOS, ByteVocabulary

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
