"""``headrace backends``, ``info`` and ``tokenize``: what they show, and their JSON."""

from __future__ import annotations

import json
from types import SimpleNamespace

import attrs
import pytest

import headrace
from headrace.backend.plugins import Discovery, InstalledHost, Quarantined
from headrace_fake.vocabulary import FIM


@pytest.fixture
def one_quarantined(monkeypatch):
    """Discovery finds one broken plugin and nothing else."""
    error = headrace.BackendUnavailableError("plugin 'broken' cannot be imported: no module")
    entry = Quarantined("broken", "headrace-broken", "0.7", error, "Traceback (...)\n  line 1\n")
    found = Discovery((), (entry,))
    monkeypatch.setattr("headrace.cli.backends.discover", lambda: found)


def test_backends_lists_what_is_installed(call):
    """Name, version, distribution, capabilities."""
    ended = call("backends")
    assert ended.code == 0
    assert f"fake {headrace.backends()['fake'].version}  (headrace-fake " in ended.out
    assert "capabilities: batching, " in ended.out
    assert " generate, " in ended.out


def test_backends_lists_hosts(call, monkeypatch):
    """Beside the backends that they run, and in JSON."""
    host = SimpleNamespace(name="mill", version="1.2", protocol_version=1)
    entry = InstalledHost("mill", "mill", "headrace-mill", "0.3", host)
    monkeypatch.setattr("headrace.cli.backends.discover", lambda: Discovery(hosts=(entry,)))
    assert "mill 1.2: runs backends  (headrace-mill 0.3)" in call("backends").out
    (found,) = json.loads(call("backends", "--json").out)["hosts"]
    assert (found["name"], found["version"], found["protocol_version"]) == ("mill", "1.2", 1)


def test_backends_lists_what_is_quarantined_and_why(call, one_quarantined):
    """And how to install one, since none is left."""
    out = call("backends").out
    assert "broken: quarantined  (headrace-broken 0.7)" in out
    assert "plugin 'broken' cannot be imported: no module" in out
    assert "pip install headrace-llamacpp" in out
    assert "Traceback" not in out


def test_backends_shows_tracebacks_with_debug(call, one_quarantined):
    """Indented under their plugin."""
    assert "    Traceback (...)" in call("backends", "--debug").out


def test_backends_as_json_has_everything(call, one_quarantined, monkeypatch):
    """Both lists."""
    (entry,) = json.loads(call("backends", "--json").out)["quarantine"]
    assert entry["error"] == "BackendUnavailableError"
    assert entry["traceback"].startswith("Traceback")
    monkeypatch.undo()
    installed = json.loads(call("backends", "--json").out)["backends"]
    (fake,) = [each for each in installed if each["name"] == "fake"]
    assert fake["protocol_version"] == 2
    assert "generate" in fake["capabilities"]


def test_info_shows_what_the_model_says_of_itself(call):
    """For people."""
    out = call("info", "fake:Hello#n_ctx=1024").out
    assert "a script of 5 bytes" in out
    assert "1,024 tokens" in out
    assert "bos 256, eos 257, fim_pre 258" in out


def test_info_as_json_is_the_whole_record(call):
    """For programs."""
    info = json.loads(call("info", "--json", "fake:Hello").out)
    assert info["architecture"] == "script"
    assert info["special_tokens"] == {"bos": 256, "eos": 257, **FIM}


def test_info_keeps_long_metadata_on_one_line(call, monkeypatch):
    """A chat template is many lines."""
    with headrace.load_model("fake:x") as model:
        info = attrs.evolve(
            model.info,
            metadata={"template": "a\nb" + "c" * 200},
            size_bytes=253_113_024,
            n_params=268_000_000,
        )
    monkeypatch.setattr("headrace.cli.info._look", lambda model: (info, {}))
    out = call("info", "fake:x").out
    assert "template: a\\nbccc" in out
    assert "…\n" in out
    assert "253.1 MB" in out
    assert "268,000,000" in out


def test_info_loads_weights_only_where_the_vocabulary_cannot_be_had_alone(call, monkeypatch):
    """A backend may not know how."""
    asked = []

    def load(reference, *, params, **rest):
        asked.append(params is not None and params.vocab_only)
        if asked[-1]:
            raise headrace.UnsupportedError("no")
        return original(reference, params=params, **rest)

    original = headrace.load_model
    monkeypatch.setattr(headrace, "load_model", load)
    assert call("info", "fake:x").code == 0
    assert asked == [True, False]


def test_tokenize_shows_ids_and_pieces(call):
    """Parts of a character as bytes."""
    assert call("tokenize", "fake:", "hé").out.split() == [
        "256", "'<bos>'", "104", "'h'", "195", "b'\\xc3'", "169", "b'\\xa9'",
    ]  # fmt: skip


def test_tokenize_can_write_the_ids_alone(call):
    """For a shell."""
    assert call("tokenize", "--ids", "--no-special", "fake:", "hi").out == "104 105\n"


def test_tokenize_reads_special_tokens_if_told_to(call):
    """Otherwise they are text."""
    assert call("tokenize", "--ids", "--parse-special", "fake:", "<eos>").out == "256 257\n"
    assert call("tokenize", "--ids", "fake:", "<eos>").out != "256 257\n"


def test_tokenize_as_json_has_the_bytes(call):
    """A piece need not be text."""
    found = json.loads(call("tokenize", "--json", "fake:", stdin="é\n".encode()).out)
    assert found["tokens"] == [256, 195, 169]
    assert found["pieces"][1] == {"id": 195, "text": "\ufffd", "bytes": "c3"}


def test_detokenize_is_the_way_back(call):
    """From ids to text."""
    assert call("tokenize", "--detokenize", "fake:", "256, 104 105").out == "<bos>hi\n"
    found = json.loads(call("tokenize", "--detokenize", "--json", "fake:", "195").out)
    assert found == {"text": "\ufffd", "bytes": "c3"}


@pytest.mark.parametrize("text", ["1 2 three", "263", "-1"])
def test_detokenize_refuses_what_is_no_token(call, text):
    """With the id or text named."""
    ended = call("tokenize", "--detokenize", "fake:", "--", text)
    assert ended.code in (1, 2)
    assert text in ended.err


def test_backends_names_the_library_behind_each(call):
    """Without importing it; the fake has only itself."""
    version = headrace.backends()["fake"].version
    assert f"    library: headrace-fake {version}" in call("backends").out
    installed = json.loads(call("backends", "--json").out)["backends"]
    (fake,) = [each for each in installed if each["name"] == "fake"]
    assert fake["library"] == f"headrace-fake {version}"


def test_devices_are_listed_with_what_the_option_takes(call):
    """Name, kind, backend and memory."""
    assert "FAKE  cpu, fake: pretends to compute (1024.0 GiB of 1024.0 GiB free)" in (
        call("devices").out
    )
    listed = json.loads(call("devices", "--json").out)
    (fake,) = [each for each in listed["devices"] if each["backend"] == "fake"]
    assert (fake["name"], fake["kind"], fake["memory_total"]) == ("FAKE", "cpu", 2**40)
    assert isinstance(listed["failures"], dict)


def test_a_backend_that_cannot_tell_its_devices_is_named_on_stderr(call, monkeypatch):
    """The others are listed all the same."""
    fake = headrace.backends()["fake"]

    def fail():
        raise headrace.BackendUnavailableError("no driver")

    monkeypatch.setattr(type(fake), "devices", lambda self: fail())
    ended = call("devices")
    assert ended.code == 0
    assert "fake: no devices: no driver" in ended.err


def test_info_estimates_memory(call):
    """A table, and whether it fits; nothing is loaded."""
    out = call("info", "--estimate", "--n-ctx", "2000", "fake:").out
    assert "2,000 tokens of context" in out
    assert out.splitlines()[1].split() == [
        "device", "weights", "cache", "compute", "total", "free"
    ]  # fmt: skip
    assert "FAKE    976.6 KiB  1.9 MiB" in out
    assert out.endswith("It fits.\n")


def test_info_says_what_does_not_fit(call):
    """And by how much."""
    out = call("info", "--estimate", "fake:#memory=2000000").out
    assert "It does not fit on FAKE: 4.9 MiB are needed, 1.9 MiB are free." in out
    told = json.loads(call("info", "--estimate", "--json", "fake:#memory=2000000").out)
    assert told["fits"] is False
    assert told["total"] == 1_000_000 + 4096 * 1000


def test_options_reach_the_params_and_are_checked_by_them(call, monkeypatch):
    """Each of them, with the values that were given."""
    seen = {}
    fake = headrace.backends()["fake"]
    plain = type(fake).load_decoder_model

    def load(self, request):
        seen.update(params=request.params, engine=request.engine)
        return plain(self, request)

    monkeypatch.setattr(type(fake), "load_decoder_model", load)
    ended = call(
        "run", "fake:Hello", "hi", "-q", "--gpu-layers", "3", "--device", "A", "--device", "B",
        "--split-mode", "row", "--main-gpu", "1", "--tensor-split", "3,1.5", "--load-mode", "mlock",
        "--override-kv", "a.b=int:7", "--override-kv", "c=str:x:y", "--override-kv", "d=bool:true",
        "--numa", "isolate", "--no-check-memory", "--n-batch", "64", "--n-ubatch", "32",
        "--flash-attention", "on", "--cache-type-k", "q8_0", "--cache-type-v", "q4_0",
        "--rope-scaling", "yarn", "--rope-freq-base", "500", "--rope-freq-scale", "0.5",
    )  # fmt: skip
    assert (ended.code, ended.out) == (0, "Hello\n")
    assert seen["params"] == headrace.ModelParams(
        n_gpu_layers=3, devices=("A", "B"), split_mode="row", main_gpu=1, tensor_split=(3, 1.5),
        load_mode="mlock", kv_overrides={"a.b": 7, "c": "x:y", "d": True}, numa="isolate",
        check_memory=False,
    )  # fmt: skip
    assert seen["engine"] == headrace.EngineParams(
        n_batch=64, n_ubatch=32, flash_attention=True, cache_type_k="q8_0", cache_type_v="q4_0",
        rope_scaling="yarn", rope_freq_base=500.0, rope_freq_scale=0.5,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--override-kv", "a=7"], "--override-kv must be KEY=TYPE:VALUE"),
        (["--override-kv", "a=int:x"], "--override-kv must be KEY=TYPE:VALUE"),
        (["--override-kv", "a=bool:1"], "--override-kv must be KEY=TYPE:VALUE"),
        (["--tensor-split", "1;2"], "--tensor-split must be numbers"),
        (["--gpu-layers", "-3"], "--gpu-layers must be"),
        (["--cache-type-v", "q8_0", "--flash-attention", "off"], "needs flash attention"),
    ],
)
def test_options_that_make_no_sense_are_usage_errors(call, options, message):
    """With what is allowed."""
    ended = call("run", "fake:Hello", "hi", *options)
    assert ended.code == 2
    assert message in ended.err
