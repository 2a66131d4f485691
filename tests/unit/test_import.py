"""``import headrace``: what is seldom used is imported when it is."""

from __future__ import annotations

import subprocess
import sys

import pytest

import headrace


def test_looking_at_files_and_machines_is_imported_when_it_is_done():
    """Most programs do not."""
    code = (
        "import headrace, sys\n"
        "assert not any(name.startswith('headrace.inspection') for name in sys.modules)\n"
        "assert headrace.check_model is headrace.check_model\n"
        "assert 'headrace.inspection.check' in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_every_public_name_is_there_and_listed():
    """Also those that come late."""
    assert set(headrace.__all__) <= set(dir(headrace))
    assert all(getattr(headrace, name) is not None for name in headrace.__all__)


def test_another_name_is_an_attribute_error():
    """As of every module."""
    with pytest.raises(AttributeError, match="no attribute 'lod_model'"):
        headrace.lod_model  # noqa: B018
