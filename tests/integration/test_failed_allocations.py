"""One allocation that fails, wherever it is: an error, and the model goes on."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap

import pytest

from tests.support import chat_templates, tiny_gguf
from tests.support.subprocesses import ROOT

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="LD_PRELOAD, and glibc's names")

SWEEP = """
import ctypes, os, sys, warnings
import headrace
from headrace import ChatMessage, EngineParams, ModelParams, SamplingParams
from tests.integration.driving import Driver, load_decoder_model
from tests.integration.masks import mask

warnings.simplefilter("ignore")
faults = ctypes.CDLL(None)
faults.failing_malloc_arm.argtypes = [ctypes.c_long]
faults.failing_malloc_disarm.restype = ctypes.c_long
path, kind, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
HI = [ChatMessage(role="user", content="Hi")]
SETTINGS = dict(engine=EngineParams(n_ctx=256, n_threads=1, n_sequences=2))
SOURCE = sys.stdin.read()


def draw_masked():
    driver = Driver(load_decoder_model(path), SETTINGS["engine"])
    driver.run(0, [3, 4, 5])

    def act():
        for params in (SamplingParams(temperature=1.0, top_k=0), SamplingParams(temperature=0.0)):
            row = driver.row(0, [6], driver.sampler(params, ban_eog=True))
            row.allowed = mask(range(40, 200))
            outcome = driver.step(row)
            error = outcome.error or outcome.rows[0].error
            if error is not None:
                raise error
            assert 40 <= outcome.rows[0].tokens[0] < 200

    return act


def prepare(model):
    if kind == "masks":
        return draw_masked()
    if kind == "chat":
        model.render_chat(HI, template="{{ messages[0].content }}")
        return lambda: model.render_chat(HI, template=SOURCE).prompt
    session = model.open_session()
    session.complete("a b", max_tokens=2)
    return lambda: session.complete("c d e", max_tokens=3).text


def case(n):
    with headrace.load_model(path, **SETTINGS) as model:
        act = prepare(model)
        faults.failing_malloc_arm(n)
        try:
            act()
            ended = 0
        except (headrace.HeadraceError, MemoryError):
            ended = 1
        finally:
            asked = faults.failing_malloc_disarm()
        if n == 0:
            print(asked, flush=True)
        prepare(model)()  # the model is sound
        os._exit(ended)


def run(n):
    child = os.fork()
    if child == 0:
        try:
            case(n)
        except BaseException as error:
            print(n, repr(error), flush=True)
        os._exit(3)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


first, *rest = [0] if count == 0 else range(1, count + 1, max(1, count // 120))
for n in (first, *rest):
    code = run(n)
    if code not in (0, 1):
        print("died", n, code, flush=True)
"""


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    """The library that has allocations fail."""
    path = tmp_path_factory.mktemp("faults") / "failing_malloc.so"
    source = ROOT / "tests" / "support" / "failing_malloc.c"
    command = ["cc", "-O1", "-fno-builtin", "-shared", "-fPIC", "-o", path, source, "-ldl"]
    subprocess.run(command, check=True)
    return path


@pytest.mark.parametrize("kind", ["decode", "masks", "chat"])
def test_every_one_is_survived(library, kind):
    """Each in a process of its own; a sweep over where it falls."""
    template = chat_templates.source("Qwen-Qwen2.5-7B-Instruct")

    def sweep(count):
        arguments = [tiny_gguf.path("attention"), kind, str(count)]
        return subprocess.run(
            [sys.executable, "-c", textwrap.dedent(SWEEP), *arguments],
            cwd=ROOT,
            env=os.environ | {"LD_PRELOAD": str(library), "GGML_NO_BACKTRACE": "1"},
            input=template,
            capture_output=True,
            text=True,
            timeout=600,
            check=True,
        )

    count = int(sweep(0).stdout)
    assert count > 50
    ended = sweep(count)
    assert not ended.stdout, ended.stdout + ended.stderr[-2000:]
