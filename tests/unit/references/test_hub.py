"""``hf:``, against a stand-in server: what is fetched, gone on with, compared and kept."""

from __future__ import annotations

import hashlib
import random
import sys
from pathlib import Path

import pytest

import headrace
from headrace.common.cache import cache_dir
from headrace.errors import (
    ModelDownloadError,
    ModelFormatError,
    ModelLoadCancelledError,
    ModelNotFoundError,
    ParamsError,
    UnsupportedError,
)
from tests.support import hub as stand_in

constants = pytest.importorskip("huggingface_hub.constants")

CONTENT = random.Random(7).randbytes(300_000)
REFERENCE = "hf:mill/wheel/q4/model.gguf"


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A hub with one file, empty caches, and small pieces so that there is a middle."""
    monkeypatch.setenv("HEADRACE_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hf"))
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 50_000)
    monkeypatch.setattr("time.sleep", lambda seconds: None)  # before the client's retries
    with stand_in.running() as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        hub.files["mill/wheel/q4/model.gguf"] = CONTENT
        yield hub


def kept() -> list[str]:
    """Names of all files in the cache, locks apart."""
    found = [each for each in cache_dir().rglob("*") if each.is_file()]
    return sorted(each.name for each in found if each.suffix != ".lock")


def cancel_at(limit: float):
    """A progress function that wants no more from there on."""
    return lambda fraction: fraction < limit


def test_a_file_is_fetched_once_and_kept_by_commit(hub):
    """A later call asks only whether it is still the same."""
    seen: list[float] = []
    path = headrace.fetch_model(REFERENCE, progress=seen.append)
    assert path.read_bytes() == CONTENT
    assert path.parts[-3:] == (stand_in.COMMIT, "q4", "model.gguf")
    assert seen == sorted(seen)
    assert len(seen) > 5
    assert seen[-1] == 1.0
    assert headrace.fetch_model(REFERENCE) == path
    assert hub.ranges == [None]
    assert kept() == ["main", "model.gguf"]


def test_a_commit_in_the_cache_needs_no_network(hub):
    """It cannot change."""
    reference = f"{REFERENCE}@{stand_in.COMMIT}"
    path = headrace.fetch_model(reference)
    asked = len(hub.requests)
    assert headrace.fetch_model(reference) == path
    assert len(hub.requests) == asked


def test_a_branch_that_moved_is_fetched_again(hub):
    """Both files stay."""
    old = headrace.fetch_model(REFERENCE)
    hub.files["mill/wheel/q4/model.gguf"] = b"another"
    hub.commit = "f" * 40
    new = headrace.fetch_model(REFERENCE)
    assert (old.read_bytes(), new.read_bytes()) == (CONTENT, b"another")


def test_a_cut_connection_is_gone_on_with(hub):
    """In the middle, by a range."""
    hub.cut_after = 120_000
    assert headrace.fetch_model(REFERENCE).read_bytes() == CONTENT
    first, second = hub.ranges
    assert first is None
    assert second is not None
    assert 0 < int(second.removeprefix("bytes=").rstrip("-")) <= 120_000


def test_a_cancel_leaves_a_part_that_the_next_fetch_goes_on_with(hub):
    """And no file that could be taken for the whole."""
    with pytest.raises(ModelLoadCancelledError, match="hf:mill"):
        headrace.fetch_model(REFERENCE, progress=cancel_at(0.5))
    (name,) = kept()
    assert name.endswith(".partial")
    (partial,) = cache_dir().rglob("*.partial")
    length = partial.stat().st_size
    assert CONTENT.startswith(partial.read_bytes())
    seen: list[float] = []
    assert headrace.fetch_model(REFERENCE, progress=seen.append).read_bytes() == CONTENT
    assert hub.ranges == [None, f"bytes={length}-"]
    assert seen[0] > 0.4
    assert kept() == ["main", "model.gguf"]


def test_a_server_that_cannot_go_on_in_the_middle_begins_again(hub):
    """Progress does not fall."""
    with pytest.raises(ModelLoadCancelledError):
        headrace.fetch_model(REFERENCE, progress=cancel_at(0.5))
    hub.ignores_range = True
    seen: list[float] = []
    assert headrace.fetch_model(REFERENCE, progress=seen.append).read_bytes() == CONTENT
    assert seen == sorted(seen)


def test_a_part_of_another_content_is_not_gone_on_with(hub):
    """The branch moved between the two."""
    with pytest.raises(ModelLoadCancelledError):
        headrace.fetch_model(REFERENCE, progress=cancel_at(0.5))
    other = CONTENT[::-1]
    hub.files["mill/wheel/q4/model.gguf"] = other
    assert headrace.fetch_model(REFERENCE).read_bytes() == other


@pytest.mark.parametrize("etag", ["0" * 64, "1" * 40])
def test_another_content_than_the_announced_one_is_not_used(hub, etag):
    """Nothing of it stays. Large files have a sha256, small ones the digest of git."""
    hub.etag = etag
    with pytest.raises(ModelFormatError, match=f"not {etag}"):
        headrace.fetch_model(REFERENCE)
    assert kept() == []


def test_the_digest_of_git_is_known(hub):
    """sha1 over a header and the content."""
    header = f"blob {len(CONTENT)}\0".encode()
    hub.etag = hashlib.sha1(header + CONTENT, usedforsecurity=False).hexdigest()
    assert headrace.fetch_model(REFERENCE).read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("hf:mill/none/model.gguf", "no repository 'mill/none'"),
        ("hf:mill/wheel/none.gguf", "no file 'none.gguf'"),
        (f"{REFERENCE}@v9", "no revision 'v9'"),
    ],
)
def test_what_is_not_there_is_named(hub, reference, message):
    """Repository, file or revision."""
    with pytest.raises(ModelNotFoundError, match=message):
        headrace.fetch_model(reference)
    assert kept() == []


def test_a_private_repository_takes_the_token_of_the_environment(hub, monkeypatch):
    """By ``huggingface_hub``'s own means."""
    hub.private.add("mill/wheel")
    with pytest.raises(ModelNotFoundError, match="or it is private") as caught:
        headrace.fetch_model(REFERENCE)
    assert "HF_TOKEN" in caught.value.hint
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    assert headrace.fetch_model(REFERENCE).read_bytes() == CONTENT


def test_the_token_is_not_sent_to_a_storage_server(hub, monkeypatch):
    """Its addresses are signed, and it is somebody else's."""
    hub.private.add("mill/wheel")
    hub.storage = True
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    assert headrace.fetch_model(REFERENCE).read_bytes() == CONTENT
    assert hub.seen_by_storage == [None]


def test_a_gated_repository_says_whom_to_ask(hub):
    """Not a missing one."""
    hub.gated.add("mill/wheel")
    with pytest.raises(ModelDownloadError, match="gated"):
        headrace.fetch_model(REFERENCE)


@pytest.mark.parametrize("status", [500, 403])
def test_a_failing_hub_is_a_typed_error_unless_the_file_is_there(hub, status):
    """The last one that was fetched will do."""
    hub.down = status
    with pytest.raises(ModelDownloadError, match=f"answered {status}"):
        headrace.fetch_model(REFERENCE)
    hub.down = None
    path = headrace.fetch_model(REFERENCE)
    hub.down = status
    assert headrace.fetch_model(REFERENCE) == path


def test_no_network_is_a_typed_error_unless_the_file_is_there(hub, monkeypatch):
    """Nobody listens at the address."""
    path = headrace.fetch_model(REFERENCE)
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    assert headrace.fetch_model(REFERENCE) == path
    with pytest.raises(ModelDownloadError, match="could not be fetched: ConnectError"):
        headrace.fetch_model("hf:mill/wheel/other.gguf")


def test_the_offline_mode_asks_nobody(hub, monkeypatch):
    """What is in the cache works."""
    path = headrace.fetch_model(REFERENCE)
    asked = len(hub.requests)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert headrace.fetch_model(REFERENCE) == path
    with pytest.raises(ModelDownloadError, match="HF_HUB_OFFLINE"):
        headrace.fetch_model("hf:mill/wheel/other.gguf")
    assert len(hub.requests) == asked


def test_the_clients_own_cache_is_used(hub):
    """What other programs fetched is not fetched again."""
    import huggingface_hub

    theirs = huggingface_hub.hf_hub_download(
        "mill/wheel", "q4/model.gguf", endpoint=hub.url, cache_dir=constants.HF_HUB_CACHE
    )
    assert headrace.fetch_model(REFERENCE) == Path(theirs)
    assert len(hub.ranges) == 1


def test_all_parts_of_a_model_in_several_are_fetched(hub):
    """The first is what is loaded; the others lie beside it."""
    for i in (1, 2, 3):
        hub.files[f"mill/wheel/big-{i:05}-of-00003.gguf"] = CONTENT[: i * 1000]
    seen: list[float] = []
    path = headrace.fetch_model("hf:mill/wheel/big-00001-of-00003.gguf", progress=seen.append)
    assert path.name == "big-00001-of-00003.gguf"
    assert [
        len(each.read_bytes()) for each in sorted(path.parent.iterdir()) if each.suffix == ".gguf"
    ] == [1000, 2000, 3000]
    assert seen == sorted(seen)


def test_what_the_caller_raises_comes_out(hub):
    """Unwrapped, and the part stays."""

    def fail(fraction):
        raise ZeroDivisionError("mine")

    with pytest.raises(ZeroDivisionError, match="mine"):
        headrace.fetch_model(REFERENCE, progress=fail)


@pytest.mark.parametrize(
    "target", ["", "a", "a/b", "a/b/", "a//c", "a/../c.gguf", "a/b/c@", "a/b/c@x y", "-/-/c.gguf"]
)
def test_a_malformed_reference_is_refused_before_anything_is_asked(hub, target):
    """Naming the form."""
    with pytest.raises(ParamsError, match="malformed"):
        headrace.fetch_model(f"hf:{target}")
    assert hub.requests == []


def test_without_the_client_the_error_says_what_to_install(hub, monkeypatch):
    """The extra."""
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(UnsupportedError, match=r"needs the package") as caught:
        headrace.fetch_model(REFERENCE)
    assert 'pip install "headrace[hf]"' in caught.value.hint
