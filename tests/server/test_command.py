"""``headrace serve``: what it makes of its arguments, and what it refuses before it loads."""

from __future__ import annotations

import json
import shutil
import socket
import ssl
import subprocess
import sys

import attrs
import click
import pytest

from headrace import EngineParams, ModelParams
from headrace_server import ServerSettings, cli, listening
from headrace_server.access.key_file import keys_of
from tests.server.process import Serving, serving
from tests.unit.cli.conftest import call

__all__ = ["call"]  # a fixture


@pytest.fixture(autouse=True)
def _no_keys(monkeypatch):
    """The variable of whoever runs the tests is not read."""
    monkeypatch.delenv("HEADRACE_API_KEY", raising=False)


@pytest.fixture
def ran(monkeypatch):
    """What would be run, with the server; nothing is."""
    seen = []

    def run(app, running):
        seen.append((app.state.server, running))

    monkeypatch.setattr(cli, "run", run)
    monkeypatch.setattr(cli.logging, "set_up", lambda: None)
    return seen


def specs(server):
    """The models of a server."""
    return [place.spec for place in server.registry.places.values()]


def test_without_options_everything_is_as_the_settings_have_it(call, ran):
    """A loopback address, no key, a page."""
    ended = call("serve", "fake:Hello", "--port", "0")
    assert ended.code == 0
    ((server, running),) = ran
    assert server.settings == ServerSettings()
    assert [each.reference for each in specs(server)] == ["fake:Hello"]
    assert running.certificate is None
    assert "at http://127.0.0.1:" in ended.out


@pytest.mark.parametrize("built", [True, False])
def test_a_page_that_was_not_built_is_told(call, ran, monkeypatch, tmp_path, built):
    """Who looks there finds out how it is; without a page nobody is told."""
    monkeypatch.setattr(cli.page, "FOLDER", tmp_path)
    if built:
        (tmp_path / "index.html").touch()
    ended = call("serve", "fake:Hello", "--port", "0")
    assert "a page at http://127.0.0.1:" in ended.out
    assert ("The page was not built" in ended.err) is not built
    assert "page" not in call("serve", "fake:Hello", "--port", "0", "--no-page").err


def test_options_become_settings(call, ran, tmp_path):
    """Each of them."""
    ended = call(
        "serve", "fake:Hello", "--port", "0", "--api-key", "one", "--api-key", "two",
        "--cors-origin", "https://a.example", "--cors-origin", "https://b.example",
        "--allowed-host", "chat.example", "--max-queue", "3", "--request-timeout", "4.5",
        "--max-body", "2M", "--body-timeout", "7", "--no-page", "--metrics", "--idle-unload", "9",
        "--shutdown-grace", "11", "--state-dir", str(tmp_path), "--log-prompts", "--no-access-log",
        "--state-bytes", "5M", "--write-timeout", "13", "--ping-interval", "14",
        "--stalled-after", "15",
    )  # fmt: skip
    assert ended.code == 0
    settings = ran[0][0].settings
    assert [each.key for each in settings.api_keys] == ["one", "two"]
    assert settings == ServerSettings(
        api_keys=settings.api_keys, cors_origins=("https://a.example", "https://b.example"),
        allowed_hosts=("chat.example",), max_queue=3, request_timeout=4.5, max_body=2_000_000,
        body_timeout=7.0, page=False, metrics=True, idle_unload=9.0, shutdown_grace=11.0,
        state_dir=tmp_path, log_prompts=True, access_log=False, state_bytes=5_000_000,
        write_timeout=13.0, ping_interval=14.0, stalled_after=15.0,
    )  # fmt: skip
    assert "page" not in ended.out


def test_every_setting_has_an_option():
    """Of the same name, but for those that it turns around or that have a shorter one."""
    options = {name for each in cli.serve.params for name in each.opts}
    others = {
        "--api-keys": "--api-key",
        "--cors-origins": "--cors-origin",
        "--allowed-hosts": "--allowed-host",
        "--page": "--no-page",
        "--access-log": "--no-access-log",
    }
    for field in attrs.fields(ServerSettings):
        name = "--" + field.name.replace("_", "-")
        assert others.get(name, name) in options, field.name


def test_tracing_is_asked_for(monkeypatch):
    """It needs a library that may not be installed, so the option alone is looked at."""
    context = cli.serve.make_context("serve", ["fake:", "--tracing"])
    assert cli.ServeOptions(**context.params).settings().tracing is True


def test_adapters_are_of_the_first_model(call, ran):
    """With their scales."""
    adapters = ("--lora", "a.gguf", "--lora", "b.gguf:0.5")
    assert call("serve", "a=fake:", "b=fake:", "--port", "0", *adapters).code == 0
    first, second = specs(ran[0][0])
    assert first.adapters == (("a.gguf", 1.0), ("b.gguf", 0.5))
    assert second.adapters == ()


def test_a_template_is_the_first_models(call, ran, tmp_path):
    """Its text; a file that is not there is named."""
    (tmp_path / "t.jinja").write_text("{{ messages }}")
    path = str(tmp_path / "t.jinja")
    assert call("serve", "a=fake:", "b=fake:", "--port", "0", "--template", path).code == 0
    assert [spec.template for spec in specs(ran[0][0])] == ["{{ messages }}", None]
    ended = call("serve", "fake:", "--template", str(tmp_path / "none.jinja"))
    assert ended.code == 2
    assert "none.jinja" in ended.err


def test_a_request_may_take_as_long_as_it_likes(call, ran):
    """Nought is no limit."""
    assert call("serve", "fake:", "--port", "0", "--request-timeout", "0").code == 0
    assert ran[0][0].settings.request_timeout is None


def test_options_of_loading_hold_for_every_model(call, ran):
    """With the backend that was named."""
    ended = call(
        "serve", "fake:a", "other=fake:b", "--port", "0", "--n-sequences", "3", "--n-ctx", "99",
        "--gpu-layers", "2", "--isolation", "--backend", "fake", "--timeout", "8",
    )  # fmt: skip
    assert ended.code == 0
    ((server, running),) = ran
    for spec in specs(server):
        assert spec.engine == EngineParams(n_sequences=3, n_ctx=99)
        assert spec.params == ModelParams(n_gpu_layers=2, isolation="process")
        assert spec.backend == "fake"
    assert running.load_timeout == 8


@pytest.mark.parametrize(
    ("argument", "name", "reference"),
    [
        ("fake:Hello#delay=1", "fake:Hello#delay=1", "fake:Hello#delay=1"),
        ("gpt-4o.mini_2=fake:a=b", "gpt-4o.mini_2", "fake:a=b"),
        ("dir/some-model.gguf", "some-model", "dir/some-model.gguf"),
        ("hf:org/repo/a=b.gguf", "a=b", "hf:org/repo/a=b.gguf"),
    ],
)
def test_a_model_may_have_a_name(call, ran, argument, name, reference):
    """What stands before the first equals sign, if it looks like a name."""
    call("serve", argument, "--port", "0")
    (spec,) = specs(ran[0][0])
    assert (spec.name, spec.reference) == (name, reference)


def test_a_file_that_is_there_is_no_name(call, ran, tmp_path, monkeypatch):
    """Whatever signs are in it; the home folder has its short form."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "a=b.gguf").touch()
    assert call("serve", "a=b.gguf", "tilde=~/a=b.gguf", "--port", "0").code == 0
    first, second = specs(ran[0][0])
    assert (first.name, first.reference) == ("a=b", "a=b.gguf")
    assert (second.name, second.reference) == ("tilde", str(tmp_path / "a=b.gguf"))


def test_two_models_of_one_name_are_refused(call, ran):
    """With what to write."""
    ended = call("serve", "a=fake:1", "a=fake:2", "--port", "0")
    assert ended.code == 2
    assert "two models are called 'a'" in ended.err
    assert ran == []


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1"])
def test_others_reach_it_only_with_a_key(call, ran, monkeypatch, host):
    """Which is found out before anything is bound or loaded."""
    monkeypatch.setattr(listening, "bound", lambda *arguments: pytest.fail("bound"))
    ended = call("serve", "no-such-model.gguf", "--host", host)
    assert ended.code == 2
    assert f"--host {host} can be reached from other machines" in ended.err
    assert "--api-key" in ended.err
    assert ran == []


def test_with_a_key_others_may_reach_it(call, ran):
    """It says how this machine does."""
    ended = call("serve", "fake:", "--host", "0.0.0.0", "--port", "0", "--api-key", "secret")
    assert ended.code == 0
    assert "http://localhost:" in ended.out
    assert "secret" not in ended.out + ended.err


def test_a_key_may_come_by_a_variable(call, ran, monkeypatch):
    """As containers have it."""
    monkeypatch.setenv("HEADRACE_API_KEY", "one two")
    assert call("serve", "fake:", "--port", "0").code == 0
    assert [each.key for each in ran[0][0].settings.api_keys] == ["one", "two"]


def test_a_key_and_a_file_of_keys_add_up(call, ran, tmp_path):
    """In this order."""
    file = tmp_path / "keys"
    file.write_text("filed team\n")
    options = ("--api-key", "typed", "--api-key-file", str(file))
    assert call("serve", "fake:", "--port", "0", *options).code == 0
    keys = ran[0][0].settings.api_keys
    assert [(each.key, each.name) for each in keys] == [("typed", ""), ("filed", "team")]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--api-key", ""], "--api-key must be text of printable ASCII"),
        (["--api-key", "a", "--api-key", "a"], "the same key or the same name twice"),
        (["--max-queue", "-1"], "--max-queue must be a number ≥ 0, got -1"),
        (["--request-timeout", "nan"], "--request-timeout must be a number"),
        (["--max-body", "many"], "--max-body must be a number of bytes, got 'many'"),
        (["--cors-origin", "example.org"], "--cors-origin must be origins, got 'example.org'"),
        (["--cors-origin", "*"], "--cors-origin '*' lets every web site"),
        (["--allowed-host", "a:80"], "--allowed-host must be names"),
        (["--n-sequences", "0"], "--n-sequences must be"),
        (["--host", "no such host"], "--host 'no such host' is no address"),
        (["--host", ""], "--host '' is no address"),
        (["--port", "70000"], "--port"),
        (["--ssl-keyfile", "key.pem"], "--ssl-keyfile needs --ssl-certfile"),
        (["--ssl-certfile", "no-such.pem"], "--ssl-certfile no-such.pem cannot be used: No such"),
        (["--api-key-file", "no-such-file"], "--api-key-file no-such-file: No such file"),
    ],
)
def test_what_makes_no_sense_is_a_usage_error(call, ran, options, message):
    """In the words of the options."""
    ended = call("serve", "fake:", *options)
    assert ended.code == 2
    assert message in ended.err
    assert "ServerSettings" not in ended.err
    assert ran == []


def test_a_port_that_another_program_has_is_named(call, ran):
    """With what to do."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        ended = call("serve", "fake:", "--port", str(port))
    assert ended.code == 2
    assert f"cannot listen on --host 127.0.0.1 --port {port}" in ended.err
    assert "Choose another --port" in ended.err


def test_this_machine_is_listened_on_by_all_its_addresses(monkeypatch):
    """With one port; an address that the system only pretends to have is left out."""
    monkeypatch.setattr(
        socket,
        "getaddrinfo",
        lambda *arguments, **more: [
            (socket.AF_INET, None, None, "", ("127.0.0.1", 0)),
            (socket.AF_INET, None, None, "", ("127.0.0.2", 0)),
            (socket.AF_INET, None, None, "", ("127.0.0.1", 0)),
        ],
    )
    found = listening.addresses("localhost")
    with listening.bound("localhost", found, 0) as sockets:
        names = [each.getsockname() for each in sockets]
    assert [name for name, _ in names] == ["127.0.0.1", "127.0.0.2"]
    assert len({port for _, port in names}) == 1


@pytest.mark.parametrize(
    ("line", "key"),
    [
        ("abc", ("abc", "", None, None)),
        ("abc team", ("abc", "team", None, None)),
        ("  abc  team max_concurrent=3 requests_per_minute=7.5  # why", ("abc", "team", 3, 7.5)),
        ("abc requests_per_minute=60", ("abc", "", None, 60.0)),
        ("sk-a#b=c team", ("sk-a#b=c", "team", None, None)),
    ],
)
def test_a_line_of_a_file_is_a_key(tmp_path, line, key):
    """With its name and limits."""
    file = tmp_path / "keys"
    file.write_text(f"# the keys\n\n{line}\n   # the end\n")
    (found,) = keys_of(file)
    assert (found.key, found.name, found.max_concurrent, found.requests_per_minute) == key


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("secret team max_concurrent=x", "line 2: max_concurrent must be a number, got 'x'"),
        ("secret team max_concurrent=0", "line 2: ApiKey.max_concurrent must be a number ≥ 1"),
        ("secret team quick=1", "line 2: 'quick=1' is none of its limits"),
        ("secret team other", "line 2: 'other' is none of its limits"),
        ("secret max_concurrent=1 max_concurrent=2", "line 2: 'max_concurrent=2' is none"),
        ("sécret", "line 2: ApiKey.key must be text of printable ASCII"),
    ],
)
def test_a_line_that_is_no_key_is_named_without_it(call, tmp_path, line, message):
    """The file, the line, and what a line is; never the key."""
    file = tmp_path / "keys"
    file.write_text(f"# the keys\n{line}\n", encoding="utf-8")
    ended = call("serve", "fake:", "--api-key-file", str(file))
    assert ended.code == 2
    assert message in ended.err
    assert "KEY [NAME]" in ended.err
    assert "secret" not in ended.err


@pytest.mark.parametrize(
    ("content", "message"), [(b"# none\n", "has no key"), (b"\xff\xfe", "no text in UTF-8")]
)
def test_a_file_without_a_key_is_refused(call, tmp_path, content, message):
    """It would let everybody in."""
    file = tmp_path / "keys"
    file.write_bytes(content)
    ended = call("serve", "fake:", "--api-key-file", str(file))
    assert ended.code == 2
    assert message in ended.err


def test_the_help_tells_the_defaults_that_hold():
    """Of the settings and of the engine."""
    helps = {each.name: each.help for each in cli.serve.params if isinstance(each, click.Option)}
    settings = ServerSettings()
    assert f"[default: {settings.max_queue}]" in helps["max_queue"]
    assert f"[default: {settings.request_timeout:g}]" in helps["request_timeout"]
    assert f"[default: {settings.max_body // 10**6}M]" in helps["max_body"]
    assert f"[default: {settings.body_timeout:g}]" in helps["body_timeout"]
    assert f"[default: {settings.shutdown_grace:g}]" in helps["shutdown_grace"]
    assert f"[default: {settings.state_bytes // 10**9}G]" in helps["state_bytes"]
    for name in ("write_timeout", "ping_interval", "stalled_after"):
        assert f"[default: {getattr(settings, name):g}]" in helps[name]
    assert f"[default: {EngineParams().n_sequences}]" in helps["n_sequences"]


def test_it_is_listed_with_the_first_sentence_of_its_help(call):
    """The list imports neither it nor what it needs."""
    sentence = cli.serve.get_short_help_str(10**6)
    assert sentence in " ".join(call("--help").out.split())
    code = (
        "import contextlib, io, sys\n"
        "from headrace_command import main\n"
        "sys.argv = ['headrace', '--help']\n"
        "with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit): main()\n"
        "print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    modules = set(done.stdout.split())
    assert "headrace_server.plugin" in modules
    assert modules & {"headrace_server.cli", "starlette", "uvicorn", "msgspec", "asyncio"} == set()


def test_it_answers_and_logs_lines_of_json():
    """Where it says that it does; what it logs is one line for each request."""
    with serving("fake:Hello", "--no-page") as server, server.client() as client:
        assert "fake:Hello was loaded in" in server.wait_until_ready()
        answer = client.get("/health")
        server.process.terminate()
        code, error = server.ended()
    assert (answer.status_code, code) == (200, 0)
    assert "server" not in answer.headers
    (line,) = [json.loads(each) for each in error.splitlines()]
    assert (line["path"], line["status"], line["outcome"]) == ("/health", 200, "ok")
    assert line["request_id"] == answer.headers["x-request-id"]


def test_the_log_of_requests_can_be_left_out():
    """Failures are told all the same."""
    with serving("fake:Hello", "--no-page", "--no-access-log") as server, server.client() as client:
        server.wait_until_ready()
        client.get("/health")
        server.process.terminate()
        assert server.ended() == (0, "")


def test_a_model_that_is_not_there_ends_it():
    """With the error of every other command."""
    with serving("no-such-model.gguf") as server:
        code, error = server.ended()
    assert code == 1
    assert "headrace: error: there is no model file at 'no-such-model.gguf'" in error
    assert "Traceback" not in error


def test_a_load_that_takes_too_long_ends_it():
    """As it ends other commands."""
    with serving("fake:Hello#load_delay=30", "--timeout", "0.01") as server:
        code, error = server.ended()
    assert code == 1
    assert "loading took longer than --timeout 0.01" in error


def test_only_the_first_model_is_loaded_at_once():
    """A second one that cannot be loaded harms nobody before it is asked for."""
    with serving("fake:Hello", "other=no-such-model.gguf") as server:
        server.wait_until_ready()
        server.process.terminate()
        assert server.ended()[0] == 0


def test_it_listens_while_it_loads():
    """Health is known from the beginning."""
    with serving("fake:Hello#load_delay=30") as server, server.client() as client:
        assert client.get("/health").status_code in (200, 503)
        server.process.terminate()
        assert server.ended()[0] == 0


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A certificate of this machine, and its key."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl makes the certificate")
    folder = tmp_path_factory.mktemp("tls")
    arguments = "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -keyout key.pem"
    extra = ["-out", "cert.pem", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run(
        [openssl, *arguments.split(), *extra], cwd=folder, check=True, capture_output=True
    )
    return folder / "cert.pem", folder / "key.pem"


def test_it_serves_over_tls(certificate):
    """To whoever trusts its certificate."""
    cert, key = certificate
    context = ssl.create_default_context(cafile=str(cert))
    options = ("--ssl-certfile", str(cert), "--ssl-keyfile", str(key))
    with serving("fake:Hello", *options) as server, server.client(verify=context) as client:
        assert server.url.startswith("https://127.0.0.1:")
        assert client.get("/health").json()["status"]
        server.process.terminate()
        assert server.ended()[0] == 0


def test_a_key_that_is_not_the_certificates_is_refused(call, certificate, tmp_path):
    """Before anything is loaded, and without asking for a password."""
    cert, key = certificate
    ended = call("serve", "fake:", "--ssl-certfile", str(cert))
    assert ended.code == 2
    assert f"--ssl-certfile {cert} cannot be used" in ended.err
    locked = tmp_path / "locked.pem"
    subprocess.run(
        ["openssl", "rsa", "-aes128", "-passout", "pass:secret", "-in", key, "-out", locked],
        check=True,
        capture_output=True,
    )
    ended = call("serve", "fake:", "--ssl-certfile", str(cert), "--ssl-keyfile", str(locked))
    assert ended.code == 2
    assert "without a password" in ended.err


def test_a_process_that_cannot_serve_says_so():
    """The helper of these tests tells what was wrong."""
    with pytest.raises(AssertionError, match="--max-queue must be"):
        Serving("fake:", "--max-queue", "-1")


def test_a_model_that_does_not_fit_ends_it():
    """What is needed and what is free is asked before it is loaded."""
    with serving("fake:#memory=2000000") as server:
        code, error = server.ended()
    assert code == 1
    assert "headrace: error: " in error
    assert "memory" in error
    assert "defect" not in error
