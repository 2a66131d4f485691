"""The patches of ggml: that they are applied, to copies, and say so where they cannot be."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from native_build.errors import BuildError
from native_build.patching import PATCHES, chosen_patches, write_patched
from native_build.pin import PINNED
from native_build.settings import Settings
from native_build.source import Source, find_source

SWITCHED_ON = {patch.switch: "1" for patch in PATCHES}
SWITCHED_OFF = {patch.switch: "0" for patch in PATCHES}
ADDED = {
    "barrier": ("headrace_wait(tp, n_passed);", "headrace_wake(tp);"),
    "attention": ("headrace_next_seen(mp, ic + 1, ic_end)", "headrace_pack_keys("),
}

each_patch = pytest.mark.parametrize("patch", PATCHES, ids=lambda patch: patch.name)
each_hunk = pytest.mark.parametrize(
    ("patch", "before"),
    [
        pytest.param(patch, before, id=f"{patch.name}-{number}")
        for patch in PATCHES
        for number, (before, _) in enumerate(patch.hunks())
    ],
)


@pytest.fixture
def tree(tiny_llama_cpp):
    """The miniature, whose CPU kernels have what the patches want to find, and tell their files."""
    kernels = tiny_llama_cpp / "src" / "ggml-cpu" / "ggml-cpu.c"
    for patch in PATCHES:
        place = tiny_llama_cpp / patch.target
        place.parent.mkdir(parents=True, exist_ok=True)
        unread = "\n".join(["/*", *(before for before, _ in patch.hunks()), "*/"])
        place.write_text(
            f"{unread}\nconst char *place_of_{patch.name}(void) {{ return __FILE__; }}\n"
        )
    cmake = tiny_llama_cpp / "CMakeLists.txt"
    original = "src/ggml-cpu/ggml-cpu.c"
    kernels.rename(kernels.with_name("cpu.c"))
    kept = [original.replace("ggml-cpu.c", "cpu.c"), *(patch.target for patch in PATCHES)]
    cmake.write_text(cmake.read_text().replace(original, " ".join(kept)))
    return tiny_llama_cpp


@pytest.fixture
def source(tree):
    """The miniature as a source."""
    return Source(tree, "0123456789abcdef", "identity")


def _kernels(tmp_path: Path) -> bytes:
    (library,) = (tmp_path / "cache" / "libraries").glob("*/lib/libggml-cpu.*")
    return library.read_bytes()


@each_patch
def test_the_copy_has_the_patch_and_the_source_has_not(source, tmp_path, patch):
    """What is fetched once stays what it was, for builds with and without the patch."""
    original = (source.folder / patch.target).read_text()
    folder = write_patched(PATCHES, source, tmp_path / "build")
    copy = (folder / Path(patch.target).name).read_text()
    assert (source.folder / patch.target).read_text() == original
    for added in ADDED[patch.name]:
        assert added in copy
        assert added not in original
    headers = list(patch.folder.glob("*.h"))
    assert headers
    assert all((folder / header.name).read_text() == header.read_text() for header in headers)


@each_patch
def test_the_patch_fits_the_pinned_source(tmp_path, patch):
    """Whoever moves the pin learns here what became of it."""
    source = find_source(Settings.from_environment())
    assert source.commit == PINNED.commit
    copy = (write_patched([patch], source, tmp_path) / Path(patch.target).name).read_text()
    assert all(copy.count(added) == 1 for added in ADDED[patch.name])


@each_hunk
def test_a_source_that_the_patch_does_not_fit_is_refused(source, tmp_path, patch, before):
    """Nothing is built by half, and the message says how to build without."""
    place = source.folder / patch.target
    place.write_text(place.read_text().replace(before, "/* moved */\n"))
    with pytest.raises(BuildError, match=rf"(?s)does not fit.*not in it.*{patch.switch}=0"):
        write_patched(PATCHES, source, tmp_path / "build")


@each_patch
def test_a_place_that_is_there_twice_is_refused(source, tmp_path, patch):
    """Which of them was meant cannot be told."""
    place = source.folder / patch.target
    before, _ = next(patch.hunks())
    place.write_text(place.read_text() + before)
    with pytest.raises(BuildError, match=rf"(?s)more than once.*{patch.switch}=0"):
        write_patched(PATCHES, source, tmp_path / "build")


@each_patch
def test_a_source_without_the_file_is_refused(source, tmp_path, patch):
    """It may have been renamed."""
    (source.folder / patch.target).unlink()
    with pytest.raises(BuildError, match=rf"(?s)has no ggml/src.*{patch.switch}=0"):
        write_patched(PATCHES, source, tmp_path / "build")


@each_patch
def test_a_patch_that_is_switched_off_is_not_written(patch):
    """The others are."""
    chosen = chosen_patches(Settings.from_environment({patch.switch: "0"}))
    assert chosen == tuple(other for other in PATCHES if other is not patch)


def test_the_copies_are_what_is_compiled(build_libraries, tree, tmp_path):
    """In the originals' places; the record tells it."""
    result = build_libraries(HEADRACE_LLAMA_CPP_SOURCE=str(tree), **SWITCHED_ON)
    assert result.returncode == 0, result.stdout
    (record,) = (tmp_path / "cache" / "libraries").glob("*/_build_info.json")
    options = json.loads(record.read_text())["cmake_options"]
    for patch in PATCHES:
        assert f"headrace-patched/{Path(patch.target).name}".encode() in _kernels(tmp_path)
        assert f"-D{patch.switch}=ON" in options


@each_patch
def test_without_its_switch_the_original_is_compiled(build_libraries, tree, tmp_path, patch):
    """As llama.cpp has it; the others are patched."""
    switches = {**SWITCHED_ON, patch.switch: "0"}
    result = build_libraries(HEADRACE_LLAMA_CPP_SOURCE=str(tree), **switches)
    assert result.returncode == 0, result.stdout
    for other in PATCHES:
        compiled = f"llama.cpp/{other.target}".encode() in _kernels(tmp_path)
        assert compiled is (other is patch)


def test_with_and_without_them_are_two_builds(build_libraries, tree, tmp_path):
    """Neither is taken for the other."""
    for switches in (SWITCHED_OFF, SWITCHED_ON):
        build_libraries(HEADRACE_LLAMA_CPP_SOURCE=str(tree), **switches)
    assert len(list((tmp_path / "cache" / "libraries").iterdir())) == 2


@each_patch
def test_a_build_that_would_leave_the_copy_out_fails(build_libraries, tree, patch):
    """A tree that compiles its kernels from elsewhere would silently have its own."""
    cmake = tree / "CMakeLists.txt"
    renamed = (tree / patch.target).with_name("renamed.c")
    renamed.write_text("int renamed(void) { return 2; }\n")
    text = cmake.read_text().replace(patch.target, renamed.relative_to(tree).as_posix())
    cmake.write_text(text)
    result = build_libraries(HEADRACE_LLAMA_CPP_SOURCE=str(tree), **SWITCHED_ON)
    assert result.returncode == 1
    assert f"{patch.switch}=0 does without" in result.stdout
