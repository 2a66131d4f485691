"""The form of a saved session: what goes in comes out, and nothing else is read."""

from __future__ import annotations

import hashlib
import json
import struct

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace import StateError
from headrace.state import SessionState, pack, unpack
from headrace.state.container import check_identity

TOKENS = st.lists(st.integers(0, 2**31 - 1), max_size=30)


def joined(state: SessionState) -> bytes:
    """The container of a state."""
    return b"".join(pack(state, "a test"))


def state(**changes: object) -> SessionState:
    """A small one."""
    values = {
        "identity": {"backend": "fake"},
        "reproducible": True,
        "tokens": [1, 2, 3],
        "cuts": [2, 3],
        "carry": b"\xf0",
        "memory_length": 2,
        "memory": memoryview(b"memory"),
    }
    return SessionState(**{**values, **changes})


def with_header(change) -> bytes:
    """A container whose header was changed by somebody who knows the form."""
    data = joined(state())
    magic, version, size = struct.unpack_from("<8sII", data)
    header = json.loads(data[16 : 16 + size])
    rest = data[16 + size : -32]
    header = change(header) or header
    written = header if isinstance(header, bytes) else json.dumps(header).encode()
    body = struct.pack("<8sII", magic, version, len(written)) + written + rest
    return body + hashlib.blake2b(body, digest_size=32).digest()


@given(TOKENS, st.binary(max_size=50), st.binary(max_size=5), st.booleans(), st.data())
def test_what_goes_in_comes_out(tokens, memory, carry, reproducible, data):
    """Whatever the parts are."""
    cuts = sorted(data.draw(st.sets(st.integers(1, len(tokens) or 1)))) if tokens else []
    made = state(
        tokens=tokens,
        cuts=cuts,
        carry=carry,
        reproducible=reproducible,
        memory_length=len(tokens) if memory else 0,
        memory=memoryview(memory if tokens else b""),
    )
    found = unpack(memoryview(joined(made)))
    for field in attrs.fields(SessionState):
        assert getattr(found, field.name) == getattr(made, field.name)


def test_every_changed_byte_is_found():
    """All of them, in every bit."""
    data = joined(state())
    for place in range(len(data)):
        for bit in range(8):
            changed = bytearray(data)
            changed[place] ^= 1 << bit
            with pytest.raises(StateError):
                unpack(memoryview(changed))


def test_every_length_but_the_right_one_is_found():
    """Truncated anywhere, or with something behind it."""
    data = joined(state())
    for length in range(len(data)):
        with pytest.raises(StateError):
            unpack(memoryview(data[:length]))
    with pytest.raises(StateError):
        unpack(memoryview(data + b"\0"))


@pytest.mark.parametrize(
    "change",
    [
        lambda header: header.pop("sizes") and None,
        lambda header: header["sizes"].update(memory=10**15),
        lambda header: header["sizes"].update(tokens=-4),
        lambda header: header["sizes"].update(tokens=11, cuts=9),
        lambda header: header["sizes"].update(tokens=True),
        lambda header: header["sizes"].update(carry=0),
        lambda header: header.update(memory_length=4),
        lambda header: header.update(memory_length=0),
        lambda header: header.update(reproducible=1),
        lambda header: header.update(identity={"backend": 1}),
        lambda header: header.update(identity=[]),
        lambda header: header.update(sizes={"tokens": 8, "cuts": 12, "carry": 1, "memory": 6}),
        lambda header: b"[" * 100_000,
        lambda header: b"\xff",
        lambda header: b"[]",
    ],
)
def test_a_header_that_does_not_fit_is_refused(change):
    """Even with a checksum that does."""
    with pytest.raises(StateError, match="not written by headrace"):
        unpack(memoryview(with_header(change)))


def test_another_version_is_named():
    """It may be a newer one."""
    data = bytearray(joined(state()))
    data[8] = 9
    with pytest.raises(StateError, match="version 9"):
        unpack(memoryview(data))


def test_something_else_is_told_apart_from_damage():
    """A model file, for example."""
    with pytest.raises(StateError, match="not a state that headrace saved"):
        unpack(memoryview(b"GGUF" * 100))
    with pytest.raises(StateError, match="truncated or was changed"):
        unpack(memoryview(joined(state())[:-1]))


def test_what_is_different_is_named():
    """The first of the things that must be equal."""
    own = {"backend": "fake", "model": "a"}
    check_identity(own, own)
    with pytest.raises(StateError, match="another model: b, this is a"):
        check_identity({"backend": "fake", "model": "b"}, own)
    with pytest.raises(StateError, match="another memory: f16, this is none"):
        check_identity({**own, "memory": "f16"}, own)
    with pytest.raises(StateError, match="another model: none, this is a"):
        check_identity({"backend": "fake"}, own)


def test_what_was_once_computed_among_others_is_not_reproducible():
    """Before there was a place apart, a state said no more than that the session was alone."""
    old = with_header(lambda header: {k: v for k, v in header.items() if k != "apart"})
    assert unpack(memoryview(old)).reproducible is False
