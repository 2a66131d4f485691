"""Memory: estimates are what is then used, and what does not fit is an error and no death."""

from __future__ import annotations

import sys

import pytest

import headrace
from headrace.errors import ModelMemoryError, ModelNotFoundError, UnsupportedError
from headrace.params import EngineParams, ModelParams
from headrace_llamacpp import memory
from headrace_llamacpp.available import Available, available
from tests.integration.conftest import KINDS
from tests.support import tiny_gguf
from tests.support.subprocesses import run_script

SETTINGS = [
    {},
    {"n_ctx": 512, "n_sequences": 1},
    {"n_ctx": 4096, "n_sequences": 4, "divided": True},
    {"n_ctx": 2048, "n_ubatch": 64, "flash_attention": False},
    {"n_ctx": 2048, "full_window": True, "cache_type_k": "f32", "cache_type_v": "f32"},
]


@pytest.fixture(params=SETTINGS, ids=str)
def engine(request):
    """Settings of a context."""
    return EngineParams(n_threads=1, **request.param)


def _sum(parts):
    return [sum(getattr(each, name) for each in parts) for name in ("weights", "cache", "compute")]


@pytest.mark.parametrize("kind", [*KINDS, "wide_heads"])
def test_what_was_estimated_is_what_is_used(load, kind, engine):
    """Weights, cache and intermediate results to the byte, as llama.cpp counts them."""
    estimated = headrace.estimate_memory(tiny_gguf.path(kind), engine=engine)
    decoder = load(kind).open_decoder(engine)
    try:
        assert _sum(estimated.devices) == _sum(decoder.device_memory())
        assert decoder.info.n_ctx == estimated.n_ctx
    finally:
        decoder.close()


def test_what_was_estimated_for_a_real_model_is_what_is_used(gemma_path):
    """The same, with weights that are repacked for the processor."""
    engine = EngineParams(n_ctx=1024, n_sequences=2, n_threads=1)
    # Of a mapped file llama.cpp counts the range, with what is repacked elsewhere inside it.
    settings = {"engine": engine, "params": ModelParams(load_mode="none")}
    estimated = headrace.estimate_memory(gemma_path, **settings)
    with headrace.load_model(gemma_path, **settings) as model, model.open_session():
        used = model._engine.decoder.device_memory()
    assert _sum(estimated.devices) == _sum(used)
    assert estimated.weights == model.info.size_bytes


@pytest.mark.parametrize("kind", ["attention", "window", "wide_heads"])
def test_the_bound_that_is_found_at_once_is_one(load, kind, engine):
    """It is never below what the context takes, or a check would be left out wrongly."""
    model = load(kind)
    needed = headrace.estimate_memory(tiny_gguf.path(kind), engine=engine)
    assert model._bound(engine) >= needed.cache + needed.compute
    assert load("recurrent")._bound(engine) is None


def test_a_quantized_cache_takes_less():
    """Eight bits and a scale of two bytes for 32 numbers instead of sixteen bits each."""
    path = tiny_gguf.path("wide_heads")
    plain = headrace.estimate_memory(path, engine=EngineParams(n_ctx=2048))
    small = EngineParams(n_ctx=2048, cache_type_k="q8_0", cache_type_v="q8_0")
    assert headrace.estimate_memory(path, engine=small).cache * 64 == plain.cache * 34


@pytest.mark.parametrize(
    ("load_mode", "mapped"), [("auto", True), ("mmap", True), ("none", False), ("mlock", False)]
)
def test_mapped_weights_are_told_from_those_that_must_stay(load_mode, mapped):
    """Only what is mapped and not locked can be read again."""
    needed = headrace.estimate_memory(
        tiny_gguf.path("attention"), params=ModelParams(load_mode=load_mode)
    )
    (cpu,) = needed.devices
    assert cpu.mapped == (cpu.weights if mapped else 0)
    assert cpu.required == cpu.total - cpu.mapped


def test_an_estimate_fails_as_a_load_does(tmp_path):
    """No file, a damaged one, a vocabulary: the same errors."""
    with pytest.raises(ModelNotFoundError):
        headrace.estimate_memory(tmp_path / "none.gguf")
    (tmp_path / "cut.gguf").write_bytes(tiny_gguf.path("attention").read_bytes()[:3000])
    with pytest.raises(headrace.ModelFormatError, match=r"cut\.gguf.*damaged"):
        headrace.estimate_memory(tmp_path / "cut.gguf")
    with pytest.raises(UnsupportedError, match="vocab_only"):
        headrace.estimate_memory(tiny_gguf.path("attention"), params=ModelParams(vocab_only=True))


@pytest.fixture
def memory_left(monkeypatch):
    """Make the machine, or the address space, as small as a test wants it."""

    def _left(free=None, address_space=None):
        there = Available(free, "a test", address_space)
        monkeypatch.setattr(memory, "available", lambda: there)

    return _left


def test_a_context_that_does_not_fit_is_refused_before_it_is_made(load, memory_left):
    """What is needed, what there is and the limit are named; a smaller one opens."""
    model = load("attention")
    memory_left(free=40_000_000)
    with pytest.raises(ModelMemoryError, match=r"100000 tokens needs \d+ MiB.*38 MiB.*a test"):
        model.open_decoder(EngineParams(n_ctx=100_000))
    model.open_decoder(EngineParams(n_ctx=1000, n_threads=1)).close()


def test_weights_that_must_stay_in_memory_are_refused_if_they_do_not_fit(load, memory_left):
    """Mapped ones are not; and nothing is where it is not to be checked."""
    memory_left(free=300_000)
    with pytest.raises(ModelMemoryError, match=r"attention\.gguf' needs"):
        load("attention", load_mode="none")
    load("attention", load_mode="none", check_memory=False)
    load("attention", load_mode="mmap")
    load("attention", load_mode="none", vocab_only=True)


def test_the_address_space_has_to_hold_mapped_weights_too(load, memory_left):
    """A limit on addresses counts everything."""
    memory_left(address_space=300_000)
    with pytest.raises(ModelMemoryError, match="RLIMIT_AS"):
        load("attention", load_mode="mmap")


def test_where_nothing_is_known_the_machine_is_asked(monkeypatch):
    """Ggml knows how much memory there is on every system."""
    monkeypatch.setattr(memory, "available", lambda: Available(None, "", None))
    assert memory.free_memory().free > 0


@pytest.mark.skipif(sys.platform != "linux", reason="the limit is Linux's")
@pytest.mark.parametrize("check", [True, False])
def test_a_process_with_a_limit_gets_an_error_and_lives(check):
    """With a real RLIMIT_AS: one context too many is an error, and the model goes on."""
    ended = run_script(
        """
        import resource, sys
        import headrace
        from headrace import EngineParams, ModelMemoryError, ModelParams
        from tests.support import tiny_gguf

        path = tiny_gguf.path("attention")
        params = ModelParams(check_memory=sys.argv[1] == "True")
        large = EngineParams(n_ctx=4_000_000, n_sequences=1, n_threads=1)
        small = EngineParams(n_ctx=512, n_sequences=1, n_threads=1)
        headrace.load_model(path).close()
        used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + 2**29, used + 2**29))
        for engine in (large, small):
            with headrace.load_model(path, params=params, engine=engine) as model:
                try:
                    with model.open_session() as session:
                        print(len(session.complete("the", max_tokens=4).tokens))
                except ModelMemoryError as error:
                    print("RLIMIT_AS" in str(error), error.hint)
        """,
        check,
    )
    assert ended.code == 0, ended.errors
    first, second = ended.output.splitlines()
    assert first.startswith(f"{check} Lower EngineParams.n_ctx")
    assert second == "4"


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """Files of a Linux machine, as the kernel writes them."""
    files = {
        "proc/meminfo": "MemTotal: 1000 kB\nMemAvailable: 900 kB\n",
        "proc/self/status": "VmSize: 10 kB\nVmData: 5 kB\n",
        "proc/self/cgroup": "",
    }

    def _machine(limits=None, **more):
        for name, content in {**files, **more}.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        monkeypatch.setattr(
            "headrace_llamacpp.available._own_limit", lambda name: (limits or {}).get(name)
        )
        return available(tmp_path)

    return _machine


GROUP = {
    "memory.max": "500000\n",
    "memory.current": "300000\n",
    "memory.stat": "anon 100000\ninactive_file 50000\n",
}


def test_a_machine_without_limits_has_what_it_says(machine):
    """Without a container and without limits of the process."""
    assert machine() == Available(900 * 1024, "MemAvailable", None)


@pytest.mark.parametrize("depth", ["", "a/", "a/b/"])
def test_a_container_has_what_its_tightest_group_has_left(machine, depth):
    """Its limit less its use, cached files not counted; the limit of any group above holds too."""
    files = {f"sys/fs/cgroup/{depth}{name}": text for name, text in GROUP.items()}
    found = machine(**{"proc/self/cgroup": "0::/a/b\n"}, **files)
    assert found == Available(250_000, "cgroup memory.max", None)


def test_a_container_without_a_limit_has_the_machine(machine):
    """``max`` is no number, and the first version's no limit is a huge one."""
    v2 = {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "max\n"}
    assert machine(**v2, **{"sys/fs/cgroup/memory.current": "5"}).limit == "MemAvailable"
    v1 = {
        "proc/self/cgroup": "4:memory:/x\n",
        "sys/fs/cgroup/memory/x/memory.limit_in_bytes": "9223372036854771712\n",
        "sys/fs/cgroup/memory/x/memory.usage_in_bytes": "5\n",
    }
    assert machine(**v1).limit == "MemAvailable"


def test_the_first_version_of_containers_is_read_too(machine):
    """Other names of the same."""
    found = machine(
        **{
            "proc/self/cgroup": "4:cpu,memory:/x\n3:pids:/x\n",
            "sys/fs/cgroup/memory/x/memory.limit_in_bytes": "400000\n",
            "sys/fs/cgroup/memory/x/memory.usage_in_bytes": "390000\n",
            "sys/fs/cgroup/memory/x/memory.stat": "inactive_file 1\ntotal_inactive_file 20000\n",
        }
    )
    assert found == Available(30_000, "cgroup memory.limit_in_bytes", None)


def test_limits_of_the_process_count(machine):
    """Of its data, and of its addresses."""
    found = machine({"RLIMIT_DATA": 105 * 1024, "RLIMIT_AS": 30 * 1024})
    assert found == Available(100 * 1024, "RLIMIT_DATA", 20 * 1024)


def test_a_machine_that_tells_nothing_is_unknown(tmp_path):
    """Another system, or a sandbox without these files."""
    assert available(tmp_path).free is None


@pytest.mark.parametrize("kind", ["attention", "window"])
def test_an_estimate_of_a_very_long_context_takes_no_memory(kind):
    """It continues what shorter ones need, and says that it does not fit."""
    path = tiny_gguf.path(kind)
    whole, twice, huge = (
        headrace.estimate_memory(path, engine=EngineParams(n_ctx=n_ctx)).devices[0]
        for n_ctx in (2**22, 2**23, 10**9)
    )
    assert 2 * whole.cache <= twice.cache + 10**6
    assert twice.compute > 1.9 * whole.compute
    assert huge.cache > 100 * twice.cache
    assert not huge.fits


def test_a_recurrent_state_is_as_long_as_any_other():
    """However many tokens it is to hold."""
    path = tiny_gguf.path("recurrent")
    short, huge = (
        headrace.estimate_memory(path, engine=EngineParams(n_ctx=n_ctx)).devices[0]
        for n_ctx in (512, 10**9)
    )
    assert huge.cache == short.cache
    assert huge.fits


@pytest.mark.parametrize("check_memory", [True, False])
def test_a_context_that_takes_all_memory_is_not_tried(check_memory):
    """Not even if what fits is not looked at: llama.cpp would begin to write its records."""
    params, engine = ModelParams(check_memory=check_memory), EngineParams(n_ctx=10**9)
    path = tiny_gguf.path("attention")
    with (
        headrace.load_model(path, params=params, engine=engine) as model,
        pytest.raises(ModelMemoryError, match="a context of 1000000000 tokens needs") as caught,
    ):
        model.open_session()
    assert "n_ctx" in caught.value.hint
    assert "check_memory" not in caught.value.hint
