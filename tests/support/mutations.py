"""Model files made to break whoever reads them: each kind by its name, each file by its seed."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable
from pathlib import Path

from tests.support.raw_gguf import ARRAY, FLOAT32, INT32, STRING, UINT32, Pair, RawGguf, string

_HUGE = (2**16, 2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**40, 2**62, 2**63 - 1, 2**63, 2**64 - 1)
_EDGES = (0, 1, 2, 3, 7, 127, 2**16, 2**31 - 1, 2**31, 2**32 - 2, 2**32 - 1)
_FLOATS = (0.0, -0.0, -1.0, 1e-45, 3.4e38, -3.4e38, float("inf"), float("-inf"), float("nan"))

TEMPLATES = {
    "endless": "{% for a in range(2000000000) %}{% for b in range(2000000000) %}{% endfor %}"
    "{% endfor %}",
    "exponential": "{% set ns = namespace(s='x') %}{% for i in range(60) %}"
    "{% set ns.s = ns.s + ns.s %}{% endfor %}{{ ns.s }}",
    "long": "{% for i in range(30000000) %}{{ 'headrace ' * 100 }}{% endfor %}",
    "recursive": "{% macro f(n) %}{{ f(n + 1) }}{% endmacro %}{{ f(0) }}",
    "nested": "{{ " + "(" * 50000 + "1" + ")" * 50000 + " }}",
    "blocks": "{% if true %}" * 20000 + "{% endif %}" * 20000,
    "unclosed": "{% for m in messages %}{{ m['content'] ",
    "raises": "{{ raise_exception('no') }}",
    "division": "{{ 1 // 0 }}{{ 1 % 0 }}",
    "index": "{{ messages[99999999999999999999] }}{{ messages[-9223372036854775808] }}",
    "repeat": "{{ 'x' * 9223372036854775807 }}",
    "sound": "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}",
}
BOMBS = ("endless", "exponential", "long", "recursive", "repeat")
"""Templates that no limit but that of a process ends early."""

Mutation = Callable[[RawGguf, random.Random], "bytes | None"]
KINDS: dict[str, Mutation] = {}


def _kind(function: Mutation) -> Mutation:
    KINDS[function.__name__] = function
    return function


def mutated(source: Path, kind: str, seed: int) -> bytes:
    """A damaged copy of a sound file.

    Args:
        source: The sound file.
        kind: One of ``KINDS``.
        seed: Which of the kind's copies.
    """
    rng = random.Random(f"{kind} {seed}")
    raw = RawGguf.read(source)
    data = KINDS[kind](raw, rng)
    return raw.build() if data is None else data


def _header_size(raw: RawGguf) -> int:
    return len(raw.build()) - len(raw.data)


@_kind
def truncate(raw: RawGguf, rng: random.Random) -> bytes:
    """Cut off anywhere."""
    whole = raw.build()
    end = _header_size(raw) if rng.random() < 0.6 else len(whole)
    return whole[: rng.randrange(end)]


@_kind
def flip_bits(raw: RawGguf, rng: random.Random) -> bytes:
    """A few bits of what is before the weights."""
    data = bytearray(raw.build())
    for _ in range(rng.choice((1, 1, 1, 2, 4, 16))):
        data[rng.randrange(4, _header_size(raw))] ^= 1 << rng.randrange(8)
    return bytes(data)


@_kind
def overwrite(raw: RawGguf, rng: random.Random) -> bytes:
    """A few numbers, by ones, zeros or anything."""
    data = bytearray(raw.build())
    for _ in range(rng.choice((1, 1, 2, 4))):
        size = rng.choice((1, 4, 8))
        at = rng.randrange(4, _header_size(raw) - size)
        data[at : at + size] = rng.choice((b"\xff" * size, bytes(size), rng.randbytes(size)))
    return bytes(data)


@_kind
def swap_values(raw: RawGguf, rng: random.Random) -> None:
    """The values of two pairs, with or without their types."""
    one, other = rng.sample(raw.pairs, 2)
    one.value, other.value = other.value, one.value
    if rng.random() < 0.7:
        one.kind, other.kind = other.kind, one.kind


@_kind
def swap_tensors(raw: RawGguf, rng: random.Random) -> None:
    """Names, shapes or types of two tensors."""
    one, other = rng.sample(raw.tensors, 2)
    field = rng.choice(("name", "dimensions", "kind", "offset"))
    first, second = getattr(one, field), getattr(other, field)
    setattr(one, field, second)
    setattr(other, field, first)


@_kind
def huge_counts(raw: RawGguf, rng: random.Random) -> bytes | None:
    """Numbers of pairs, tensors, elements or characters that there are not."""
    choice = rng.randrange(4)
    if choice == 0:
        raw.n_pairs = rng.choice(_HUGE)
    elif choice == 1:
        raw.n_tensors = rng.choice(_HUGE)
    elif choice == 2:
        pair = rng.choice([each for each in raw.pairs if each.kind in (STRING, ARRAY)])
        at = 4 if pair.kind == ARRAY else 0
        value = bytearray(pair.value)
        struct.pack_into("<Q", value, at, rng.choice(_HUGE))
        pair.value = bytes(value)
    else:
        key = rng.choice(raw.pairs).key
        data = raw.build()
        at = data.index(string(key))
        return data[:at] + struct.pack("<Q", rng.choice(_HUGE)) + data[at + 8 :]
    return None


@_kind
def duplicate_key(raw: RawGguf, rng: random.Random) -> None:
    """A key twice, with another value."""
    pair = rng.choice(raw.pairs)
    other = rng.choice(raw.pairs)
    raw.pairs.insert(rng.randrange(len(raw.pairs)), Pair(pair.key, other.kind, other.value))


@_kind
def duplicate_tensor(raw: RawGguf, rng: random.Random) -> None:
    """A name twice, or the same tensor twice."""
    one, other = rng.sample(raw.tensors, 2)
    if rng.random() < 0.5:
        one.name = other.name
    else:
        raw.tensors.insert(rng.randrange(len(raw.tensors)), one)


@_kind
def wrong_type(raw: RawGguf, rng: random.Random) -> None:
    """A value of another type than its key has, or of none."""
    pair = rng.choice(raw.pairs)
    kind = rng.choice((*range(14), 2**31, 2**32 - 1))
    if rng.random() < 0.5:
        pair.kind = kind
    else:
        pair.kind, pair.value = rng.choice(
            [(STRING, string(b"x")), (UINT32, struct.pack("<I", rng.choice(_EDGES)))]
        )


@_kind
def offsets(raw: RawGguf, rng: random.Random) -> None:
    """Tensors that overlap, are not aligned, or lie beyond the file."""
    tensor = rng.choice(raw.tensors)
    tensor.offset = rng.choice(
        (rng.choice(raw.tensors).offset, tensor.offset + 1, len(raw.data), -32, *_HUGE)
    )


@_kind
def alignment(raw: RawGguf, rng: random.Random) -> None:
    """An alignment that is none."""
    value = rng.choice((0, 1, 3, 8, 31, 33, 64, 4096, 2**31, 2**32 - 1))
    raw.pairs.insert(0, Pair(b"general.alignment", UINT32, struct.pack("<I", value)))


@_kind
def dimensions(raw: RawGguf, rng: random.Random) -> None:
    """Tensors of no, of negative and of enormous size, and of many dimensions."""
    tensor = rng.choice(raw.tensors)
    if rng.random() < 0.2:
        tensor.n_dimensions = rng.choice((0, 5, 64, 2**31, 2**32 - 1))
    elif rng.random() < 0.3:
        tensor.dimensions = [rng.choice((1, 2**31, 2**32, 2**33)) for _ in range(4)]
    else:
        at = rng.randrange(len(tensor.dimensions))
        tensor.dimensions[at] = rng.choice((0, 1, -1, -64, tensor.dimensions[at] + 1, *_HUGE))


@_kind
def tensor_types(raw: RawGguf, rng: random.Random) -> None:
    """Types of elements that do not exist, or do not fit."""
    for tensor in rng.sample(raw.tensors, rng.choice((1, 1, 3))):
        tensor.kind = rng.choice((*range(42), 255, -1, 2**31))


@_kind
def numbers(raw: RawGguf, rng: random.Random) -> None:
    """Layers, heads, widths and the like at their limits, negative ones among them."""
    found = [each for each in raw.pairs if each.kind in (UINT32, INT32, FLOAT32)]
    for pair in rng.sample(found, rng.choice((1, 1, 2, 3))):
        if pair.kind == FLOAT32:
            pair.value = struct.pack("<f", rng.choice(_FLOATS))
        else:
            pair.value = struct.pack("<I", rng.choice(_EDGES))


@_kind
def missing(raw: RawGguf, rng: random.Random) -> None:
    """Without some pair or tensor."""
    parts = rng.choice((raw.pairs, raw.pairs, raw.tensors))
    for _ in range(rng.choice((1, 1, 2, 5))):
        del parts[rng.randrange(len(parts))]


@_kind
def names(raw: RawGguf, rng: random.Random) -> None:
    """Names that are empty, long, no UTF-8, or have zeros in them."""
    bad = rng.choice(
        (b"", b"\0", b"\xff\xfe", b"x" * 63, b"x" * 64, b"x" * 70000, b"a\0b", b"\n%s")
    )
    if rng.random() < 0.5:
        rng.choice(raw.tensors).name = bad
    else:
        rng.choice(raw.pairs).key = bad


@_kind
def vocabulary_scores(raw: RawGguf, rng: random.Random) -> None:
    """Scores that are huge, not a number, in a circle, or too few."""
    pair = raw.pair("tokenizer.ggml.scores")
    kind, count = struct.unpack_from("<IQ", pair.value)
    if rng.random() < 0.3:
        count = rng.randrange(count)
    scores = [rng.choice(_FLOATS) if rng.random() < 0.5 else float(-i % 7) for i in range(count)]
    pair.value = struct.pack(f"<IQ{count}f", kind, count, *scores)


@_kind
def vocabulary_tokens(raw: RawGguf, rng: random.Random) -> None:
    """Tokens that are empty, the same, very long, or not the bytes that they should be."""
    pair = raw.pair("tokenizer.ggml.tokens")
    _, count = struct.unpack_from("<IQ", pair.value)
    words = [b"", b"e", b"<0x00>", b"<0xZZ>", b"\xff\xff", b"\0", b"x" * 50000, b"<unk>"]
    tokens = [f"t{number}".encode() for number in range(count)]
    for at in rng.sample(range(count), rng.choice((1, 10, count))):
        tokens[at] = rng.choice(words[:6] if count > 10 else words)
    tokens[rng.randrange(count)] = rng.choice(words)
    pair.value = struct.pack("<IQ", STRING, count) + b"".join(map(string, tokens))


@_kind
def vocabulary_types(raw: RawGguf, rng: random.Random) -> None:
    """Kinds of tokens at random, and special tokens that do not exist."""
    pair = raw.pair("tokenizer.ggml.token_type")
    kind, count = struct.unpack_from("<IQ", pair.value)
    kinds = [rng.choice((-1, 0, 1, 2, 3, 4, 5, 6, 7, 2**31 - 1)) for _ in range(count)]
    pair.value = struct.pack(f"<IQ{count}i", kind, count, *kinds)
    special = [each for each in raw.pairs if each.key.endswith(b"_token_id")]
    if special:
        rng.choice(special).value = struct.pack("<I", rng.choice((*_EDGES, count, count - 1)))


@_kind
def weights(raw: RawGguf, rng: random.Random) -> None:
    """Weights that are not a number, infinite, or anything."""
    for _ in range(rng.choice((1, 3, 100))):
        at = rng.randrange(0, len(raw.data) - 4, 4)
        raw.data[at : at + 4] = rng.choice(
            (struct.pack("<f", rng.choice(_FLOATS)), rng.randbytes(4))
        )


@_kind
def garbage(raw: RawGguf, rng: random.Random) -> bytes:
    """Anything at all behind a good beginning."""
    whole = raw.build()
    keep = rng.randrange(4, min(2000, _header_size(raw)))
    return whole[:keep] + rng.randbytes(rng.randrange(5000))


@_kind
def template(raw: RawGguf, rng: random.Random) -> None:
    """Chat templates that are wrong, and some that are bombs."""
    name = rng.choice(list(TEMPLATES))
    source = TEMPLATES[name].encode()
    if name not in BOMBS and rng.random() < 0.5:
        at = rng.randrange(len(source))
        source = source[:at] + rng.randbytes(rng.randrange(4)) + source[at + 1 :]
    _set_template(raw, source)


def with_template(source: Path, name: str) -> bytes:
    """A sound file with one of ``TEMPLATES``."""
    raw = RawGguf.read(source)
    _set_template(raw, TEMPLATES[name].encode())
    return raw.build()


def _set_template(raw: RawGguf, source: bytes) -> None:
    raw.pairs.append(Pair(b"tokenizer.chat_template", STRING, string(source)))
