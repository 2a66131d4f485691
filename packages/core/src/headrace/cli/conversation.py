"""The loop of ``headrace chat``: lines in, answers out, and the commands in between."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Sequence

import click

import headrace
from headrace.cli.report import in_words, summary, tell
from headrace.errors import HeadraceError

HELP = """\
/system TEXT   tell the model TEXT first, and begin anew; without TEXT: what it was told
/reset         begin anew
/stats         how long the last answer took
/help          this
/exit          end, as Ctrl-D does
A line that ends in \\ goes on in the next one; three quotes begin and end a text of many lines.
Ctrl-C stops the answer."""
BLOCK = '"""'


class Talk:
    """A conversation.

    Args:
        session: Where it is held.
        system: What the model is told first.
        template: Source of a template other than the model's own.
        reasoning: Whether the model may think first.
        sampling: How tokens are chosen.
        max_tokens: Most new tokens of an answer.
        stop: Strings that end an answer.
        timeout: Longest time of an answer, in seconds.
    """

    def __init__(
        self,
        session: headrace.Session,
        *,
        system: str | None,
        template: str | None,
        reasoning: bool,
        sampling: headrace.SamplingParams,
        max_tokens: int | None,
        stop: Sequence[str],
        timeout: float | None,
    ) -> None:
        self._session = session
        self._system = system
        self._template = template
        self._reasoning = reasoning
        self._sampling = sampling
        self._max_tokens = max_tokens
        self._stop = stop
        self._timeout = timeout
        self._messages: list[headrace.ChatMessage] = []
        self._last: headrace.ChatCompletion | None = None
        self._ended = False

    def opening(self, text: str = "Hello") -> list[headrace.ChatMessage]:
        """A conversation that begins with this message."""
        first = [] if self._system is None else [_message("system", self._system)]
        return [*first, _message("user", text)]

    # -- answers -----------------------------------------------------------

    def answer(self, text: str, *, show: bool) -> tuple[headrace.ChatCompletion, bool]:
        """Answer a message, on stdout; the second value tells whether Ctrl-C ended it.

        What the model has said by then belongs to the conversation.
        """
        messages = [*self._messages, _message("user", text)]
        if not self._messages:
            messages = self.opening(text)
        with self._session.chat(
            messages,
            template=self._template,
            reasoning=self._reasoning,
            sampling=self._sampling,
            max_tokens=self._max_tokens,
            stop=self._stop,
            timeout=self._timeout,
        ) as stream:
            interrupted = _show(stream) if show else _read(stream)
            stream.close()
            self._last = stream.result
        self._messages = [*messages, self._last.message]
        return self._last, interrupted

    # -- the loop ------------------------------------------------------------

    def converse(self, name: str) -> None:
        """Read messages from the terminal until it ends."""
        with contextlib.suppress(ImportError):
            import readline  # noqa: F401  gives input() a history
        click.echo(f"{name}: /help for help, Ctrl-D to end.", err=True)
        while not self._ended:
            try:
                text = _read_message()
                if text.startswith("/"):
                    self._command(text)
                elif text.strip():
                    self._answer_or_tell(text)
            except KeyboardInterrupt:
                click.echo("\n(Ctrl-D ends)", err=True)
            except EOFError:
                click.echo(err=True)
                return

    def _answer_or_tell(self, text: str) -> None:
        try:
            _, interrupted = self.answer(text, show=True)
            if interrupted:
                click.echo("(stopped)", err=True)
        except HeadraceError as error:
            tell("error", *in_words(error, click.get_current_context().command))

    def _command(self, text: str) -> None:
        name, _, argument = text[1:].strip().partition(" ")
        if name in ("exit", "quit"):
            self._ended = True
        elif name == "reset":
            self._begin_anew()
        elif name == "system" and argument.strip():
            self._system = argument.strip()
            self._begin_anew()
        elif name == "system":
            click.echo(self._system or "(nothing)", err=True)
        elif name == "stats":
            click.echo(summary(self._last) if self._last else "(no answer yet)", err=True)
        else:
            if name != "help":
                click.echo(f"There is no command /{name}.", err=True)
            click.echo(HELP, err=True)

    def _begin_anew(self) -> None:
        self._messages = []
        self._session.reset()
        click.echo("(a new conversation)", err=True)


def _message(role: str, text: str) -> headrace.ChatMessage:
    return headrace.ChatMessage(role=role, content=text)


def _read_message() -> str:
    """A message of one or several lines, from the terminal."""
    line = input("> ")
    if line.strip().startswith(BLOCK):
        return _read_block(line.strip().removeprefix(BLOCK))
    lines = []
    while line.endswith("\\"):
        lines.append(line[:-1])
        line = input(". ")
    return "\n".join([*lines, line])


def _read_block(first: str) -> str:
    """The rest of a text between three quotes."""
    lines = [first] if first else []
    while BLOCK not in (lines[-1] if lines else ""):
        lines.append(input(". "))
    lines[-1] = lines[-1][: lines[-1].index(BLOCK)]
    return "\n".join(lines).rstrip("\n")


def _show(stream: headrace.ChatStream) -> bool:
    """Write an answer as it comes, thoughts dim and on a terminal only; whether it was stopped."""
    ends_line = True
    thinking = False
    thoughts = sys.stdout.isatty()
    interrupted = False
    try:
        for chunk in stream:
            if chunk.reasoning and thoughts:
                thinking = True
                click.secho(chunk.reasoning, dim=True, nl=False)
            if chunk.content:
                if thinking:
                    click.echo("\n")
                    thinking = False
                ends_line = chunk.content.endswith("\n")
                click.echo(chunk.content, nl=False)
            sys.stdout.flush()
    except KeyboardInterrupt:
        interrupted = True
    if thinking or not ends_line:
        click.echo()
    return interrupted


def _read(stream: headrace.ChatStream) -> bool:
    """Read an answer without a word; whether it was stopped."""
    try:
        for _ in stream:
            pass
    except KeyboardInterrupt:
        return True
    return False
