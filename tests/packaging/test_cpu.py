"""CPU features: what a build needs, and what a machine has."""

from __future__ import annotations

import json
import pickle
import subprocess

import pytest

from headrace_llamacpp_ffi import UnsupportedCPUError, _cpu
from native_build.cpu import features_of_build, kernel_flags, needed_features
from native_build.toolchain import Toolchain

CPUINFO = """\
processor\t: 0
flags\t\t: fpu sse sse2 pni ssse3 sse4_1 sse4_2 avx avx2 fma avx512_vnni

processor\t: 1
flags\t\t: fpu sse sse2 pni ssse3 sse4_1 sse4_2 avx avx2 fma
"""


@pytest.fixture
def compile_commands(tmp_path):
    """CMake's record of how the CPU kernels, and something else, were compiled."""
    entries = [
        {"file": "/src/ggml.c", "command": "cc -O3 -mavx512f -c ggml.c"},
        {"file": "/src/ggml-cpu/ggml-cpu.c", "command": "cc -O3 -msse4.2 -mavx2 -c ggml-cpu.c"},
    ]
    path = tmp_path / "compile_commands.json"
    path.write_text(json.dumps(entries))
    return path


def test_only_features_that_kernels_use_are_needed():
    """Instructions for cryptography are no reason to refuse a machine."""
    assert needed_features(["__AVX2__", "__SHA__", "__SSE4_1__"]) == ("sse4_1", "avx2")


def test_the_flags_of_the_kernels_are_those_of_the_build(compile_commands):
    """Other files may be compiled in other ways."""
    assert kernel_flags(compile_commands) == ("-msse4.2", "-mavx2")


def test_the_compiler_says_what_its_flags_imply(compile_commands):
    """AVX2 brings AVX and the rest along."""
    compiler = Toolchain.find().c
    if "__x86_64__" not in compiler.macros():
        pytest.skip("the flags are x86's")
    features = features_of_build(compiler, compile_commands)
    assert {"sse4_2", "popcnt", "avx", "avx2"} <= set(features)
    assert "avx512f" not in features


def test_a_feature_counts_where_every_core_has_it(tmp_path):
    """A thread may be moved to any of them."""
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text(CPUINFO)
    features = _cpu._linux_features(cpuinfo)
    assert {"pni", "sse41", "avx2", "fma"} <= features
    assert "avx512vnni" not in features


def test_a_machine_that_does_not_tell_is_not_refused(tmp_path, monkeypatch):
    """Without /proc nothing is known."""
    assert _cpu._linux_features(tmp_path / "missing") == frozenset()
    monkeypatch.setattr(_cpu, "_linux_features", frozenset)
    monkeypatch.setattr(_cpu, "_macos_features", frozenset)
    assert _cpu.missing_features(["avx2"]) == ()


def test_this_machine_has_what_its_compiler_calls_native():
    """A build for this machine can be loaded on it."""
    native = needed_features(Toolchain.find().c.macros("-march=native"))
    assert _cpu.missing_features(native) == ()


def test_a_missing_feature_is_named():
    """Among those that are there."""
    assert _cpu.missing_features(["timetravel"]) == ("timetravel",)


def test_words_of_macos_are_understood(monkeypatch):
    """Intel lists words; ARM has a key for each feature."""
    output = (
        "machdep.cpu.features: FPU SSE3 SSE4.1 AVX1.0 FMA\n"
        "machdep.cpu.extfeatures: LZCNT\n"
        "hw.optional.arm.FEAT_DotProd: 1\n"
        "hw.optional.arm.FEAT_SME: 0\n"
    )
    answer = type("Answer", (), {"stdout": output})
    monkeypatch.setattr(subprocess, "run", lambda *args, **kwargs: answer)
    features = _cpu._macos_features()
    assert {"pni", "sse41", "avx", "fma", "abm", "asimddp"} <= features
    assert "sme" not in features


def test_the_error_names_the_features_and_the_remedy_and_can_be_pickled():
    """It may cross a process boundary on its way to the user."""
    error = pickle.loads(pickle.dumps(UnsupportedCPUError(("avx512f", "amx_int8"))))
    assert isinstance(error, ImportError)
    assert error.missing == ("avx512f", "amx_int8")
    assert "avx512f, amx_int8" in str(error)
    assert "HEADRACE_PORTABLE=1" in str(error)
