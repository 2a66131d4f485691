r"""The form of a saved session: a header, the history, the memory, and a checksum over all.

::

    magic        8 bytes   b"HRSTATE\n"
    version      uint32    of this form
    header       uint32    length of the header
    header       JSON      who wrote it, what the memory belongs to, and how long each part is
    tokens       int32 …   the history
    cuts         int32 …   lengths at which native calls ended
    carry        bytes     text of remembered tokens that the reader has not seen
    memory       bytes     the backend's own form of the memory; possibly none
    checksum     32 bytes  BLAKE2b of everything before it

Numbers are little-endian. The checksum shows damage, not intent: whoever writes
a state can write a fitting checksum too.
"""

from __future__ import annotations

import json
import struct
import sys
from array import array
from collections.abc import Mapping
from typing import Any, NoReturn

import attrs

from headrace.errors import StateError

MAGIC = b"HRSTATE\n"
VERSION = 1
_PREFIX = struct.Struct("<8sII")
_CHECKSUM = 32
_PARTS = ("tokens", "cuts", "carry", "memory")
_ITEM_SIZE = {"tokens": 4, "cuts": 4}


@attrs.frozen(kw_only=True, eq=False)
class SessionState:
    """Everything that makes a session, apart from its params."""

    identity: dict[str, str]
    """What the memory belongs to: backend, build, model and memory settings, each in words."""
    reproducible: bool
    """Whether the session was computed alone, with cuts of its own."""
    width: int = 1
    """Tokens its native calls had at least, if reproducible; what is computed depends on it."""
    tokens: list[int]
    """The history."""
    cuts: list[int]
    """Lengths at which native calls ended; empty unless reproducible."""
    carry: bytes
    """Bytes of remembered tokens whose text the last reader did not get."""
    memory_length: int = 0
    """How many tokens, from the beginning of the history, the memory holds."""
    memory: memoryview = attrs.field(factory=lambda: memoryview(b""), repr=False)
    """The backend's own form of the memory; empty: it is rebuilt from the history."""


def pack(state: SessionState, writer: str) -> list[bytes | memoryview]:
    """The parts of the container, in order; joined they are the whole of it.

    Args:
        state: What to write.
        writer: Name and version of the program, for people.
    """
    parts: dict[str, bytes | memoryview] = {
        "tokens": _as_bytes(state.tokens),
        "cuts": _as_bytes(state.cuts),
        "carry": state.carry,
        "memory": state.memory,
    }
    header = json.dumps(
        {
            "writer": writer,
            "identity": state.identity,
            "reproducible": state.reproducible,
            "apart": state.reproducible,
            "width": state.width,
            "memory_length": state.memory_length,
            "sizes": {name: len(part) for name, part in parts.items()},
        },
        sort_keys=True,
    ).encode()
    out = [_PREFIX.pack(MAGIC, VERSION, len(header)), header, *parts.values()]
    import hashlib  # takes long to import, and few programs save states

    checksum = hashlib.blake2b(digest_size=_CHECKSUM)
    for part in out:
        checksum.update(part)
    return [*out, checksum.digest()]


def unpack(data: memoryview) -> SessionState:
    """What a container holds; the memory stays part of ``data``.

    Raises:
        StateError: If it is no container, one of another version, or damaged.
    """
    if data.nbytes < _PREFIX.size or bytes(data[: len(MAGIC)]) != MAGIC:
        _refuse("it is not a state that headrace saved", "Give what save_state wrote.")
    _, version, header_size = _PREFIX.unpack_from(data)
    body = data[: max(0, data.nbytes - _CHECKSUM)]
    import hashlib  # takes long to import, and few programs save states

    checksum = hashlib.blake2b(body, digest_size=_CHECKSUM).digest()
    if checksum != bytes(data[body.nbytes :]):
        if version != VERSION:
            _refuse_version(version)
        _refuse("it is truncated or was changed: its checksum is wrong", "Save it again.")
    if version != VERSION:
        _refuse_version(version)
    header, at = _header(body, header_size)
    parts = {}
    for name in _PARTS:
        parts[name] = body[at : at + header["sizes"][name]]
        at += header["sizes"][name]
    if at != body.nbytes:
        _refuse_header("its parts are not as long as it says")
    return _checked(
        SessionState(
            identity=header["identity"],
            # Once they were computed among others, which moved what was to stay in place.
            reproducible=header["reproducible"] and header.get("apart") is True,
            width=header["width"],
            tokens=_as_integers(parts["tokens"]),
            cuts=_as_integers(parts["cuts"]),
            carry=bytes(parts["carry"]),
            memory_length=header["memory_length"],
            memory=parts["memory"],
        )
    )


def check_identity(saved: Mapping[str, str], own: Mapping[str, str]) -> None:
    """Raise unless a state belongs to this model, build and these settings.

    Raises:
        StateError: Naming what is different.
    """
    for name in dict.fromkeys([*own, *saved]):
        if saved.get(name) != own.get(name):
            raise StateError(
                f"the state was saved with another {name}: {saved.get(name, 'none')}, "
                f"this is {own.get(name, 'none')}",
                hint="Load it where it was saved, or begin again from the tokens of the history.",
            )


def _checked(state: SessionState) -> SessionState:
    """What a writer other than ``pack`` might get wrong."""
    length = len(state.tokens)
    rising = all(a < b for a, b in zip([0, *state.cuts], state.cuts, strict=False))
    if not rising or (state.cuts and state.cuts[-1] > length):
        _refuse_header("its cuts do not rise within the history")
    if not 0 <= state.memory_length <= length or bool(state.memory) != (state.memory_length > 0):
        _refuse_header("its memory is not a beginning of the history")
    return state


def _header(body: memoryview, size: int) -> tuple[dict[str, Any], int]:
    end = _PREFIX.size + size
    if end > body.nbytes:
        _refuse_header("it ends inside its header")
    try:
        header = json.loads(bytes(body[_PREFIX.size : end]))
        sizes, identity = header["sizes"], header["identity"]
        fits = (
            isinstance(header["reproducible"], bool)
            and _is_length(header["width"])
            and _is_length(header["memory_length"])
            and all(isinstance(each, str) for pair in identity.items() for each in pair)
            and all(_is_length(sizes[name]) for name in _PARTS)
            and all(sizes[name] % size == 0 for name, size in _ITEM_SIZE.items())
        )
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        fits = False
    if not fits:
        _refuse_header("its header cannot be read")
    return header, end


def _is_length(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _as_bytes(numbers: list[int]) -> bytes:
    packed = array("i", numbers)
    if sys.byteorder == "big":
        packed.byteswap()
    return packed.tobytes()


def _as_integers(data: memoryview) -> list[int]:
    packed = array("i")
    packed.frombytes(data)
    if sys.byteorder == "big":
        packed.byteswap()
    return packed.tolist()


def _refuse_version(version: int) -> NoReturn:
    _refuse(
        f"it has version {version} of the form, this headrace reads version {VERSION}",
        "Load it with the version of headrace that saved it.",
    )


def _refuse_header(why: str) -> NoReturn:
    _refuse(f"it was not written by headrace: {why}", "Give what save_state wrote.")


def _refuse(why: str, hint: str) -> NoReturn:
    raise StateError(f"the state cannot be loaded: {why}", hint=hint)
