"""How many threads there are where nobody says: cores, affinity, quotas of control groups."""

from __future__ import annotations

import os

import pytest

from headrace_llamacpp.threads import default_threads


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """Eight processors on four cores, and files of control groups by their path."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    for cpu in range(8):
        folder = tmp_path / f"sys/devices/system/cpu/cpu{cpu}/topology"
        folder.mkdir(parents=True)
        (folder / "thread_siblings_list").write_text(f"{cpu % 4},{cpu % 4 + 4}\n")

    def write(files):
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return tmp_path

    return write


def test_threads_of_one_core_count_once(machine):
    """Without control groups."""
    assert default_threads(machine({})) == 4


def test_an_affinity_counts(machine, monkeypatch):
    """Two processors of one core, and one of another."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 4, 1}, raising=False)
    assert default_threads(machine({})) == 2


@pytest.mark.parametrize(
    ("limit", "n_threads"),
    [
        ("max 100000", 4),
        ("200000 100000", 2),
        ("150000 100000", 2),
        ("10000 100000", 1),
        ("900000 100000", 4),
        ("nonsense", 4),
        ("0 0", 4),
        ("", 4),
    ],
)
def test_a_quota_counts(machine, limit, n_threads):
    """A part of a core as one; more than there are, as those that there are."""
    files = {"proc/self/cgroup": "0::/app\n", "sys/fs/cgroup/app/cpu.max": limit}
    assert default_threads(machine(files)) == n_threads


def test_the_tightest_of_nested_groups_counts(machine):
    """Whoever set it: a pod may have less than its container."""
    files = {
        "proc/self/cgroup": "0::/pod/container\n",
        "sys/fs/cgroup/pod/container/cpu.max": "max 100000",
        "sys/fs/cgroup/pod/cpu.max": "200000 100000",
        "sys/fs/cgroup/cpu.max": "300000 100000",
    }
    assert default_threads(machine(files)) == 2


def test_a_container_that_does_not_see_its_path_has_the_quota_at_the_top(machine):
    """Where the path is of the machine, and the mount is of the container."""
    files = {
        "proc/self/cgroup": "0::/system.slice/docker-1.scope\n",
        "sys/fs/cgroup/cpu.max": "100000 100000",
    }
    assert default_threads(machine(files)) == 1


@pytest.mark.parametrize("mount", ["cpu", "cpu,cpuacct"])
def test_the_first_version_of_control_groups_counts(machine, mount):
    """Two files for a quota, and -1 where there is none."""
    group = f"sys/fs/cgroup/{mount}/docker/1"
    files = {
        "proc/self/cgroup": "5:cpu,cpuacct:/docker/1\n4:memory:/elsewhere\n0::/\n",
        f"{group}/cpu.cfs_quota_us": "250000\n",
        f"{group}/cpu.cfs_period_us": "100000\n",
    }
    assert default_threads(machine(files)) == 3
    assert default_threads(machine({f"{group}/cpu.cfs_quota_us": "-1\n"})) == 4
