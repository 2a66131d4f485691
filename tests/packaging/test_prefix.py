"""What is taken of an installed llama.cpp."""

from __future__ import annotations

import pytest

from native_build.errors import BuildError
from native_build.prefix import Prefix


@pytest.fixture
def install(tmp_path):
    """Lay out an installation of empty files and symbolic links (``"name -> target"``)."""

    def install(*names):
        for name in names:
            link, _, target = name.partition(" -> ")
            path = tmp_path / link
            path.parent.mkdir(parents=True, exist_ok=True)
            if target:
                path.symlink_to(target)
            else:
                path.write_text(link)
        return Prefix(tmp_path)

    return install


def test_every_library_of_llama_cpp_is_taken_and_no_other(install):
    """Also those that options turned on; not what else a system has in the same folder."""
    prefix = install("lib/libllama.so", "lib/libggml-cuda.so", "lib/libc.so.6", "lib/libllama.a")
    assert sorted(prefix.libraries()) == ["libggml-cuda.so", "libllama.so"]


def test_a_versioned_library_is_taken_once_under_the_name_it_is_asked_for(install):
    """The loader asks for the name with one number."""
    prefix = install(
        "lib/libllama.so.0.5.0",
        "lib/libllama.so.0 -> libllama.so.0.5.0",
        "lib/libllama.so -> libllama.so.0",
    )
    (name, path), *others = prefix.libraries().items()
    assert (name, path.name, others) == ("libllama.so.0", "libllama.so.0.5.0", [])


@pytest.mark.parametrize(
    "name", ["lib/libllama.dylib", "lib/libggml-base.0.dylib", "bin/llama.dll", "bin/ggml-base.dll"]
)
def test_libraries_of_other_systems_are_known(install, name):
    """By their names."""
    assert list(install(name).libraries()) == [name.rpartition("/")[2]]


def test_modules_lie_beside_the_programs(install):
    """There a portable build installs its CPU kernels, by which it is known."""
    prefix = install("lib/libllama.so", "bin/libggml-cpu-haswell.so")
    assert "libggml-cpu-haswell.so" in prefix.libraries()
    assert prefix.is_portable


def test_one_kind_of_kernels_is_not_portable(install):
    """The plain CPU library is linked."""
    assert not install("lib/libllama.so", "lib/libggml-cpu.so").is_portable


def test_the_packed_folder_holds_nothing_of_another_build(install, tmp_path):
    """A stale module would be loaded with the others."""
    packed = tmp_path / "packed"
    packed.mkdir()
    (packed / "libggml-cpu-old.so").write_text("stale")
    copies = install("lib/libllama.so").copy_libraries(packed)
    assert [path.name for path in packed.iterdir()] == ["libllama.so"]
    assert copies == [packed / "libllama.so"]


def test_an_installation_without_shared_libraries_is_refused(install):
    """Static ones cannot be packed."""
    with pytest.raises(BuildError, match=r"(?s)no shared llama.cpp libraries.*BUILD_SHARED_LIBS"):
        install("lib/libllama.a").libraries()


def test_the_commit_of_an_installation_is_read_from_its_cmake_files(install):
    """Where it has them."""
    prefix = install("lib/cmake/llama/llama-config.cmake")
    assert prefix.version is None
    config = prefix.folder / "lib/cmake/llama/llama-config.cmake"
    config.write_text("set(LLAMA_BUILD_COMMIT 0c1e570)\n")
    assert prefix.version == "0c1e570"
