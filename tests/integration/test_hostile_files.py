"""Files made to break the loader: always a model or a typed error, never a dead process."""

from __future__ import annotations

import collections

import pytest

from tests.support import tiny_gguf
from tests.support.subprocesses import run_script

_LOAD_DAMAGED = """
    import random, sys, tempfile
    from pathlib import Path
    from headrace.errors import HeadraceError
    from headrace.params import EngineParams
    from tests.integration.driving import Driver, load_decoder_model

    whole, seed, count = Path(sys.argv[1]).read_bytes(), int(sys.argv[2]), int(sys.argv[3])
    header = whole.index(b"token_embd")  # what is before it are keys and the vocabulary
    rng = random.Random(seed)
    path = Path(tempfile.mkdtemp()) / "damaged.gguf"
    for number in range(count):
        data = bytearray(whole)
        for _ in range(rng.choice((1, 1, 1, 2, 4))):
            at = rng.randrange(4, header + 2000)
            if rng.random() < 0.5:
                data[at] ^= 1 << rng.randrange(8)
            else:
                size = rng.choice((1, 4, 8))
                data[at : at + size] = rng.choice(
                    (b"\\xff" * size, bytes(size), rng.randbytes(size))
                )
        path.write_bytes(data)
        try:
            model = load_decoder_model(path)
            try:
                if model.generate_hint() is None:
                    driver = Driver(model, EngineParams(n_ctx=256, n_sequences=1, n_threads=1))
                    driver.decoder.close()
            finally:
                model.close()
            print("loaded")
        except HeadraceError as error:
            print(type(error).__name__)
"""

# Asked for by a damaged header: more tensors, longer strings, larger numbers than there are.
_COUNT = 150


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("kind", ["attention", "window"])
def test_a_damaged_header_never_ends_the_process(kind, seed):
    """Bits flipped and numbers overwritten: each load ends as a model or a typed error."""
    ended = run_script(_LOAD_DAMAGED, tiny_gguf.path(kind), seed, _COUNT, timeout=300)
    assert ended.code == 0, ended.errors[-2000:]
    counts = collections.Counter(ended.output.split())
    assert counts.total() == _COUNT
    assert counts["ModelFormatError"] > 0
    assert counts["loaded"] > 0
    assert ended.errors == ""
