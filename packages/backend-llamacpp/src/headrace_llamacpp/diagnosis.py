"""What the backend says of itself for ``headrace doctor``, also where the binding fails."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

from headrace.errors import BackendUnavailableError
from headrace.params import EngineParams, ModelParams
from headrace.results.diagnosis import BackendDiagnosis, broken
from headrace.results.machine import SystemInfo

_DISTRIBUTIONS = ("headrace-llamacpp", "headrace-llamacpp-ffi", "cffi")
_ENVIRONMENT = ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")


def diagnose(native_part: Callable[[], AbstractContextManager[None]]) -> BackendDiagnosis:
    """Everything, or what the build left on record beside the reason that there is no more.

    Args:
        native_part: A context around imports of the binding, which types their errors.
    """
    findings = []
    try:
        with native_part():
            from headrace_llamacpp.system import system_info
        system: SystemInfo | None = system_info(ModelParams(), EngineParams())
    except BackendUnavailableError as error:
        findings.append(broken("backend llamacpp", error))
        system = _from_record(native_part)
    return BackendDiagnosis(
        system=system,
        distributions=_DISTRIBUTIONS,
        environment=_ENVIRONMENT,
        findings=tuple(findings),
    )


def _from_record(native_part: Callable[[], AbstractContextManager[None]]) -> SystemInfo | None:
    """How the binding was built; None if it is not installed."""
    try:
        with native_part():
            from headrace_llamacpp_ffi import build_info
    except BackendUnavailableError:
        return None
    return SystemInfo(
        backend="llamacpp",
        build=f"llama.cpp {build_info.llama_cpp_commit[:10]}",
        options=build_info.cmake_options,
        compiler=build_info.compiler,
    )
