"""Which CPU features a build came to need: asked of the compiler, not guessed from a name.

With ``GGML_NATIVE`` the compiler may use every instruction of the building machine, by its own
choice, anywhere in ggml's CPU kernels. What it may use shows in the macros it predefines. The
names here are those of Linux's ``/proc/cpuinfo``; ``headrace_llamacpp_ffi`` compares them with
the machine it is imported on.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Mapping
from pathlib import Path

from .toolchain import Compiler

# ggml's kernels use these by name, or a compiler emits them unasked in plain C. Left out is what
# neither does, such as the instructions for cryptography: no reason to refuse a machine.
_X86 = {
    "__SSE3__": "pni",
    "__SSSE3__": "ssse3",
    "__SSE4_1__": "sse4_1",
    "__SSE4_2__": "sse4_2",
    "__POPCNT__": "popcnt",
    "__LZCNT__": "abm",
    "__BMI__": "bmi1",
    "__BMI2__": "bmi2",
    "__MOVBE__": "movbe",
    "__AVX__": "avx",
    "__AVX2__": "avx2",
    "__FMA__": "fma",
    "__F16C__": "f16c",
    "__FMA4__": "fma4",
    "__XOP__": "xop",
    "__TBM__": "tbm",
    "__GFNI__": "gfni",
    "__AVXVNNI__": "avx_vnni",
    "__AVX512F__": "avx512f",
    "__AVX512CD__": "avx512cd",
    "__AVX512BW__": "avx512bw",
    "__AVX512DQ__": "avx512dq",
    "__AVX512VL__": "avx512vl",
    "__AVX512IFMA__": "avx512ifma",
    "__AVX512VBMI__": "avx512vbmi",
    "__AVX512VBMI2__": "avx512_vbmi2",
    "__AVX512VNNI__": "avx512_vnni",
    "__AVX512BITALG__": "avx512_bitalg",
    "__AVX512VPOPCNTDQ__": "avx512_vpopcntdq",
    "__AVX512BF16__": "avx512_bf16",
    "__AVX512FP16__": "avx512_fp16",
    "__AMX_TILE__": "amx_tile",
    "__AMX_INT8__": "amx_int8",
    "__AMX_BF16__": "amx_bf16",
}

_ARM = {
    "__ARM_FEATURE_ATOMICS": "atomics",
    "__ARM_FEATURE_DOTPROD": "asimddp",
    "__ARM_FEATURE_FP16_VECTOR_ARITHMETIC": "asimdhp",
    "__ARM_FEATURE_MATMUL_INT8": "i8mm",
    "__ARM_FEATURE_BF16_VECTOR_ARITHMETIC": "bf16",
    "__ARM_FEATURE_SVE": "sve",
    "__ARM_FEATURE_SVE2": "sve2",
    "__ARM_FEATURE_SME": "sme",
}


def needed_features(macros: Iterable[str]) -> tuple[str, ...]:
    """The CPU features that code compiled under these predefined macros may use."""
    defined = set(macros)
    return tuple(name for macro, name in (_X86 | _ARM).items() if macro in defined)


def kernel_flags(compile_commands: Path) -> tuple[str, ...]:
    """The instruction-set flags that ggml's CPU kernels were compiled with.

    Args:
        compile_commands: CMake's ``compile_commands.json`` of the build.
    """
    entries: list[Mapping[str, str]] = json.loads(compile_commands.read_text(encoding="utf-8"))
    for entry in entries:
        if entry["file"].replace("\\", "/").endswith("/ggml-cpu/ggml-cpu.c"):
            words = shlex.split(entry["command"])
            return tuple(word for word in words if word.startswith("-m"))
    return ()


def features_of_build(compiler: Compiler | None, compile_commands: Path) -> tuple[str, ...]:
    """What a finished build of ggml needs; empty where the compiler cannot be asked."""
    if compiler is None or not compile_commands.is_file():
        return ()
    return needed_features(compiler.macros(*kernel_flags(compile_commands)))
