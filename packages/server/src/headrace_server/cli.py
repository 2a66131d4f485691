"""``headrace serve``: a server of its own process, as the options say."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import attrs
import click

from headrace.cli.adapters import scaled
from headrace.cli.chat import read_template
from headrace.cli.load import with_options
from headrace.cli.model_options import model_options
from headrace.cli.options import Option, debug_option, expanded, gathered, given, kept
from headrace.cli.settings import settings, timeout
from headrace.cli.sizes import number_of_bytes
from headrace.errors import ParamsError
from headrace_server import listening, logging, page
from headrace_server.access.key_file import keys_of
from headrace_server.app import create_app, specs_of
from headrace_server.models.spec import ModelSpec, default_name
from headrace_server.running import Running, run
from headrace_server.settings import ApiKey, ServerSettings

_F = TypeVar("_F", bound=Callable[..., Any])
_NAMED = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)=(.+)", re.DOTALL)
_FILE = click.Path(path_type=Path)


def _file(context: click.Context, parameter: click.Parameter, path: Path | None) -> Path | None:
    return None if path is None else Path(expanded(str(path)))


def _scaled(
    context: click.Context, parameter: click.Parameter, texts: tuple[str, ...]
) -> tuple[tuple[str, float], ...]:
    return tuple(map(scaled, texts))


def _bytes(context: click.Context, parameter: click.Parameter, text: str | None) -> int | None:
    return None if text is None else number_of_bytes(max(parameter.opts, key=len), text)


_OPTIONS = (
    click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on."),
    click.option(
        "--port", type=click.IntRange(0, 65535), default=8080, show_default=True,
        help="Port to listen on; 0: one that is free.",
    ),
    click.option(
        "--api-key", "keys", cls=Option, names=("api_keys",), multiple=True, metavar="KEY",
        envvar="HEADRACE_API_KEY",
        help="Key that requests must show; repeatable. Others can read a command line: better "
        "--api-key-file, or the variable HEADRACE_API_KEY.",
    ),
    click.option(
        "--api-key-file", "key_file", type=_FILE, callback=_file, metavar="FILE",
        help="Keys, a line each: KEY [NAME] [max_concurrent=N] [requests_per_minute=N].",
    ),
    click.option(
        "--ssl-certfile", "certificate", type=_FILE, callback=_file, metavar="FILE",
        help="Certificate (PEM) for TLS.",
    ),
    click.option(
        "--ssl-keyfile", "certificate_key", type=_FILE, callback=_file, metavar="FILE",
        help="Its key, unless the certificate's file has it.",
    ),
    click.option(
        "--cors-origin", "cors_origins", cls=Option, multiple=True, metavar="ORIGIN",
        help="Web site whose pages may ask, such as https://example.org; repeatable  "
        "[default: none].",
    ),
    click.option(
        "--allowed-host", "allowed_hosts", cls=Option, multiple=True, metavar="NAME",
        help="Name, as of a proxy, under which a server without keys may be asked beside "
        "localhost; repeatable.",
    ),
    click.option(
        "--max-queue", type=int, metavar="N",
        help="Requests for a model that may wait  [default: 64].",
    ),
    click.option(
        "--request-timeout", type=float, metavar="SECONDS",
        help="Longest time for a request; 0: none  [default: 600].",
    ),
    click.option(
        "--max-body", callback=_bytes, metavar="SIZE",
        help="Largest body of a request, such as 16M  [default: 16M].",
    ),
    click.option(
        "--body-timeout", type=float, metavar="SECONDS",
        help="Longest time for a body to arrive  [default: 30].",
    ),
    kept(
        "engine", "n_sequences", "--n-sequences", type=int, metavar="N",
        help="Answers that are written at the same time  [default: 8].",
    ),
    click.option("--no-page", is_flag=True, help="Serve no chat page at /."),
    click.option("--metrics", is_flag=True, help="Serve metrics for Prometheus at /metrics."),
    click.option(
        "--idle-unload", type=float, metavar="SECONDS",
        help="Unload a model that nobody asked for so long  [default: never].",
    ),
    click.option(
        "--shutdown-grace", type=float, metavar="SECONDS",
        help="Time that answers have to finish when the server is to end  [default: 30].",
    ),
    click.option(
        "--state-dir", type=_FILE, callback=_file, metavar="FOLDER",
        help="Keep conversations there over a restart.",
    ),
    click.option(
        "--state-bytes", callback=_bytes, metavar="SIZE",
        help="Most that conversations of a model may take there  [default: 4G].",
    ),
    click.option(
        "--lora", multiple=True, callback=_scaled, metavar="FILE[:SCALE]",
        help="LoRA adapter of the first model; repeatable. Requests can name other scales.",
    ),
    click.option(
        "--template", type=_FILE, callback=_file, metavar="FILE",
        help="Jinja chat template of the first model  [default: its own].",
    ),
    click.option(
        "--write-timeout", type=float, metavar="SECONDS",
        help="Cut off a client that takes nothing of its stream so long  [default: 60].",
    ),
    click.option(
        "--ping-interval", type=float, metavar="SECONDS",
        help="Send a comment into a stream that is silent so long  [default: 10].",
    ),
    click.option(
        "--stalled-after", type=float, metavar="SECONDS",
        help="Let health tell of a model without progress after so long  [default: 60].",
    ),
    click.option(
        "--tracing", is_flag=True,
        help="Tell OpenTelemetry of requests; its own variables say where they go.",
    ),
    click.option("--log-prompts", is_flag=True, help="Write the text of prompts to the log."),
    click.option("--no-access-log", is_flag=True, help="Log no line for each request."),
)  # fmt: skip


def _serve_options(command: _F) -> _F:
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


@attrs.frozen
class ServeOptions:
    """What ``headrace serve`` was given."""

    models: tuple[str, ...]
    host: str
    port: int
    keys: tuple[str, ...]
    key_file: Path | None
    certificate: Path | None
    certificate_key: Path | None
    cors_origins: tuple[str, ...]
    allowed_hosts: tuple[str, ...]
    max_queue: int | None
    request_timeout: float | None
    max_body: int | None
    body_timeout: float | None
    no_page: bool
    metrics: bool
    idle_unload: float | None
    shutdown_grace: float | None
    state_dir: Path | None
    state_bytes: int | None
    lora: tuple[tuple[str, float], ...]
    template: Path | None
    write_timeout: float | None
    ping_interval: float | None
    stalled_after: float | None
    tracing: bool
    log_prompts: bool
    no_access_log: bool

    def settings(self) -> ServerSettings:
        """The settings of the server.

        Raises:
            ParamsError: For a value outside its range.
        """
        from_file: tuple[ApiKey, ...] = () if self.key_file is None else keys_of(self.key_file)
        numbers: dict[str, Any] = given(
            max_queue=self.max_queue,
            request_timeout=self.request_timeout,
            max_body=self.max_body,
            body_timeout=self.body_timeout,
            idle_unload=self.idle_unload,
            shutdown_grace=self.shutdown_grace,
            state_bytes=self.state_bytes,
            write_timeout=self.write_timeout,
            ping_interval=self.ping_interval,
            stalled_after=self.stalled_after,
        )
        if self.request_timeout == 0:
            numbers["request_timeout"] = None
        return ServerSettings(
            api_keys=(*map(_key, self.keys), *from_file),
            cors_origins=self.cors_origins,
            allowed_hosts=self.allowed_hosts,
            page=not self.no_page,
            metrics=self.metrics,
            tracing=self.tracing,
            state_dir=self.state_dir,
            log_prompts=self.log_prompts,
            access_log=not self.no_access_log,
            **numbers,
        )


def _key(text: str) -> ApiKey:
    try:
        return ApiKey(key=text)
    except ParamsError as error:
        raise ParamsError(
            error.message.replace("ApiKey.key", "--api-key"), hint=error.hint
        ) from error


@click.command("serve")
@click.argument("models", nargs=-1, required=True, metavar="MODEL [NAME=REFERENCE]...")
@_serve_options
@model_options
@debug_option
@gathered(ServeOptions)
def serve(options: ServeOptions) -> None:
    """Serve MODEL to OpenAI's and other clients, with a page.

    MODEL and every further REFERENCE is a path, or what else `headrace run` takes; NAME is what
    requests call it, otherwise its file's name. The first is loaded at once, the others when they
    are asked for.

    Without --host only this machine reaches the server. Ctrl-C ends it: answers that are being
    written may finish, a second Ctrl-C cuts them off.
    """
    listening.check_tls(options.certificate, options.certificate_key)
    how = options.settings()
    found = listening.addresses(options.host)
    listening.check_reach(options.host, found, has_keys=bool(how.api_keys))
    first, *others = map(_spec, options.models)
    changes: dict[str, Any] = {"adapters": options.lora}
    if options.template is not None:
        changes["template"] = read_template(options.template)
    specs = specs_of([attrs.evolve(first, **changes), *others])
    with listening.bound(options.host, found, options.port) as sockets:
        app = create_app(specs, how)
        logging.set_up()
        scheme = "http" if options.certificate is None else "https"
        _say_where(listening.url(scheme, options.host, sockets[0].getsockname()[1]), how)

        def ready(seconds: float) -> None:
            click.echo(f"Ready: {specs[0].name} was loaded in {seconds:.1f} s. Ctrl-C ends it.")

        run(
            app,
            Running(
                sockets=sockets,
                certificate=options.certificate,
                key=options.certificate_key,
                load_timeout=timeout(),
                ready=ready,
            ),
        )


def _say_where(url: str, how: ServerSettings) -> None:
    shown = f", a page at {url}/" if how.page else ""
    click.echo(f"Serving OpenAI's clients at {url}/v1{shown}")
    if how.page and not (page.FOLDER / "index.html").is_file():
        click.echo("The page was not built; what is there instead says how.", err=True)


def _spec(text: str) -> ModelSpec:
    """A model of the command line.

    Raises:
        ParamsError: For options outside their range.
    """
    named = _NAMED.fullmatch(text)
    if named is None or Path(expanded(text)).exists():
        name, reference = default_name(text), expanded(text)
    else:
        name, reference = named[1], expanded(named[2])
    params, engine = with_options()
    return ModelSpec(
        name=name, reference=reference, backend=settings().backend, params=params, engine=engine
    )
