"""The wheel's tag and its extension module say the same."""

from __future__ import annotations

import zipfile

import pytest

from native_build.errors import BuildError
from native_build.wheel_tag import check_wheel


@pytest.fixture
def wheel(tmp_path):
    """A wheel with a tag and one module."""

    def wheel(tag, module):
        path = tmp_path / f"headrace_llamacpp_ffi-0.1.0-{tag}-linux_x86_64.whl"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("headrace_llamacpp_ffi/_ffi.pyi", "")
            archive.writestr(f"headrace_llamacpp_ffi/{module}", "")
        return path

    return wheel


@pytest.mark.parametrize(
    ("tag", "module"),
    [
        ("cp310-abi3", "_ffi.abi3.so"),
        ("cp310-abi3", "_ffi.pyd"),
        ("cp313-cp313t", "_ffi.cpython-313t-x86_64-linux-gnu.so"),
    ],
)
def test_a_wheel_that_keeps_to_its_tag_passes(wheel, tag, module):
    """The stable ABI, and a Python without one."""
    check_wheel(wheel(tag, module))


@pytest.mark.parametrize(
    ("tag", "module"),
    [
        ("cp310-abi3", "_ffi.cpython-311-x86_64-linux-gnu.so"),
        ("cp311-cp311", "_ffi.abi3.so"),
        ("cp310-abi3", "_other.abi3.so"),
    ],
)
def test_a_wheel_that_claims_something_else_is_refused(wheel, tag, module):
    """It would be installed where it cannot be imported."""
    with pytest.raises(BuildError, match="does not fit its ABI tag"):
        check_wheel(wheel(tag, module))
