"""Standard streams that are closed, full, non-blocking or in another encoding: every command."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import attrs
import pytest

from headrace.cli.app import app

pytestmark = pytest.mark.skipif(os.name != "posix", reason="descriptors of POSIX")

# What each command is called with; the fake backend is the only one there is.
CALLS = {
    "backends": [],
    "bench": ["fake:x", "--rounds=1", "--tokens=2", "--streams=1", "--others=1", "--threads=1"],
    "chat": ["fake:Hello", "Hi"],
    "check": ["fake:Hello"],
    "conformance": ["--list"],
    "demo": [],
    "devices": [],
    "doctor": ["--no-self-test"],
    "embed": ["fake:x", "hi"],
    "fetch": ["fake:x"],
    "gguf merge": ["a-00001-of-00002.gguf", "/nowhere/b.gguf", "--backend", "fake"],
    "gguf show": ["fake:x"],
    "gguf split": ["fake:x", "/nowhere/x", "--max-size", "1M"],
    "info": ["fake:x"],
    "new-backend": ["No Name"],
    "quantize": ["fake:x", "/nowhere/x.gguf", "Q4_0"],
    "rerank": ["fake:x", "hi", "document"],
    "rpc-server": ["--backend", "fake"],
    "run": ["fake:Hello", "Hi"],
    "score": ["fake:x", "hi"],
    "tokenize": ["fake:x", "hi"],
}
CONDITIONS = {
    "plain": "",
    "stdin closed": "<&-",
    "stdout closed": ">&-",
    "stderr closed": "2>&-",
    "stdout full": ">/dev/full",
    "stderr full": "2>/dev/full",
    "all closed": "<&- >&- 2>&-",
    "no reader": "no reader",
}
# Starts of Python take most of the time, so one process forks for all of them: each child gets
# the descriptors of its condition and, as Python would have it, None for those that are closed.
PROGRAM = """
import json, os, sys, tempfile
import headrace.cli.app as application
from headrace.cli import demo_model as demo
from headrace.backend.plugins import discover
demo.cached_model = lambda: "fake: Paris."
discover()

def stream(number, mode):
    try:
        os.fstat(number)
    except OSError:
        return None
    return open(number, mode, closefd=False)

def child(arguments, condition, out, err):
    null = os.open(os.devnull, os.O_RDWR)
    for number, file in ((0, null), (1, out.fileno()), (2, err.fileno())):
        os.dup2(file, number)
    if condition == "no reader":
        reading, writing = os.pipe()
        os.close(reading)
        os.dup2(writing, 1)
    for word in condition.split() if condition != "no reader" else ():
        number = {"<": 0, ">": 1, "2": 2}[word[0]]
        if word.endswith("-"):
            os.close(number)
        else:
            os.dup2(os.open("/dev/full", os.O_WRONLY), number)
    sys.stdin, sys.stdout, sys.stderr = stream(0, "r"), stream(1, "w"), stream(2, "w")
    sys.__stdout__, sys.__stderr__ = sys.stdout, sys.stderr
    try:
        application.main(arguments)
    except SystemExit as end:
        return end.code
    return 99

def run(arguments, condition):
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        process = os.fork()
        if not process:
            os._exit(child(arguments, condition, out, err))
        code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
        texts = []
        for file in (out, err):
            file.seek(0)
            texts.append(file.read().decode())
    return [code, *texts]

print(json.dumps([run(*each) for each in json.load(sys.stdin)]))
"""

WRITE = """
import sys
from headrace.cli.streams import standard_streams
with standard_streams():
    sys.stdout.write("a" * {length})
    sys.stdout.flush()
"""


@attrs.frozen
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str


@pytest.fixture(scope="module")
def ends():
    """How every command ends in every condition."""
    keys = [(command, condition) for command in CALLS for condition in CONDITIONS]
    calls = [
        [[*command.split(), *CALLS[command]], CONDITIONS[condition]] for command, condition in keys
    ]
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        input=json.dumps(calls),
        env={**os.environ, "HEADRACE_PLUGINS": "headrace-fake"},
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    return dict(zip(keys, (Ended(*each) for each in json.loads(ended.stdout)), strict=True))


def _names(group, before=()):
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from _names(command, (*before, name))
        else:
            yield " ".join((*before, name))


def test_every_command_is_looked_at():
    """A new one has to be named above."""
    assert set(_names(app)) == set(CALLS)


@pytest.mark.parametrize("condition", CONDITIONS)
@pytest.mark.parametrize("command", CALLS)
def test_an_environment_is_never_called_a_defect(ends, command, condition):
    """And has no traceback; the code is one of those that are documented."""
    ended = ends[command, condition]
    assert "defect" not in ended.err
    assert "Traceback" not in ended.err
    assert ended.code in (0, 1, 2, 141)


@pytest.mark.parametrize("condition", ["stdin closed", "stderr closed", "stderr full"])
@pytest.mark.parametrize("command", CALLS)
def test_without_stdin_or_stderr_a_command_does_what_it_does(ends, command, condition):
    """Its messages may be lost, its work is not."""
    plain, ended = ends[command, "plain"], ends[command, condition]
    assert ended.code == plain.code
    assert bool(ended.out) == bool(plain.out)
    if command in ("run", "chat", "tokenize", "embed"):
        assert (ended.code, ended.out) == (0, plain.out)


@pytest.mark.parametrize("command", CALLS)
def test_without_stdout_a_command_says_so_before_it_begins(ends, command):
    """With what to do."""
    ended = ends[command, "stdout closed"]
    assert ended.code == 1
    assert ended.err == (
        "headrace: error: standard output is closed\nhint: Send it somewhere: >/dev/null.\n"
    )
    assert ends[command, "all closed"].code == 1


@pytest.mark.parametrize("command", CALLS)
def test_a_full_stdout_is_told_as_one(ends, command):
    """If there was something to write."""
    plain, ended = ends[command, "plain"], ends[command, "stdout full"]
    if plain.out:
        assert ended.code == 1
        assert "standard output cannot be written: No space left on device" in ended.err
    else:
        assert (ended.code, ended.err) == (plain.code, plain.err)


@pytest.mark.parametrize("command", CALLS)
def test_a_pipe_without_reader_ends_a_command_without_a_word(ends, command):
    """As with ``| head``."""
    plain, ended = ends[command, "plain"], ends[command, "no reader"]
    assert ended.code == (141 if plain.out else plain.code)
    assert plain.code or "error" not in ended.err


# -- in a shell, as it really is --------------------------------------------------


def shell(line: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A line of a shell in which ``headrace`` is the command line."""
    program = f'headrace() {{ {sys.executable} -m headrace "$@"; }}\n{line}'
    return subprocess.run(
        ["/bin/sh", "-c", program],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "HEADRACE_PLUGINS": "headrace-fake", **environment},
    )


@pytest.mark.parametrize(
    ("line", "code", "out", "err"),
    [
        ("headrace run fake:Hello hi -q <&-", 0, "Hello\n", ""),
        ("headrace run fake:Hello hi >&-", 1, "", "standard output is closed"),
        ("headrace run fake:Hello hi 2>&-", 0, "Hello\n", ""),
        ("headrace run fake:Hello hi > /dev/full", 1, "", "cannot be written: No space"),
        ("headrace run fake:Hello hi 2> /dev/full", 0, "Hello\n", ""),
        ("headrace run fake:Hello hi <&- >&- 2>&-", 1, "", ""),
        ("headrace --help > /dev/full", 1, "", "cannot be written: No space"),
        ("headrace --version >&-", 1, "", "standard output is closed"),
        ("headrace run fake:Hello <&-", 2, "", "'PROMPT': standard input is closed."),
        ("headrace run fake:Hello - <&-", 2, "", "'PROMPT': standard input is closed."),
        ("headrace chat fake:Hello <&-", 2, "", "'MESSAGE': standard input is closed."),
        ("headrace run fake:Hello 0> /dev/null", 1, "", "standard input: Bad file descriptor"),
        ("headrace run nothing.gguf hi 2>&-", 1, "", ""),
    ],
)
def test_a_shell_can_close_and_fill_what_it_likes(line, code, out, err):
    """With Python's own start in between."""
    ended = shell(line)
    assert (ended.returncode, ended.stdout) == (code, out)
    assert err in ended.stderr
    assert bool(err) or not ended.stderr
    assert "defect" not in ended.stderr


def test_a_model_does_not_get_the_number_of_a_closed_stream(tmp_path):
    """Or what is meant for stderr would be written into it."""
    show = tmp_path / "headrace_show.py"
    show.write_text(
        "from headrace.cli.streams import standard_streams\n"
        "with standard_streams():\n"
        "    print(open('/dev/null').fileno())\n"
    )
    ended = shell(f"{sys.executable} {show} <&- 2>&-")
    assert int(ended.stdout) > 2


def test_a_descriptor_that_does_not_block_is_waited_for():
    """A parent may have made the terminal so; a pipe shows it, which holds 64 KiB."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    length = 300_000
    with subprocess.Popen(
        [sys.executable, "-c", WRITE.format(length=length)],
        stdout=writing,
        stderr=subprocess.PIPE,
    ) as process:
        os.close(writing)
        with open(reading, "rb") as file:
            assert len(file.read()) == length
        assert process.stderr.read() == b""
    assert process.returncode == 0


# -- encodings ---------------------------------------------------------------------


@pytest.mark.parametrize("command", [["run", "-q"], ["chat", "-q"]])
@pytest.mark.parametrize(
    ("encoding", "written", "lacking"),
    [
        ("ascii", b"a\\xe9\\u2013b\n", "is in ascii, which lacks 2 characters of this text"),
        ("latin-1", b"a\xe9\\u2013b\n", "is in iso8859-1, which lacks 1 character of this text"),
        ("utf-8", "aé–b\n".encode(), ""),
    ],
)
def test_what_the_encoding_lacks_is_an_escape_and_is_said(command, encoding, written, lacking):
    """Nothing is lost, and nothing is changed in silence."""
    command = [sys.executable, "-m", "headrace", *command, "fake:aé–b", "hi"]
    environment = {**os.environ, "PYTHONIOENCODING": encoding}
    ended = subprocess.run(command, capture_output=True, env=environment, check=True)
    assert ended.stdout == written
    told = ended.stderr.decode()
    if lacking:
        assert told.startswith(f"headrace: warning: standard output {lacking}; an escape")
        assert f"Unset PYTHONIOENCODING, which is '{encoding}'." in told
    else:
        assert told == ""


def test_the_remedy_in_a_locale_without_utf_8():
    """It is the locale's encoding there."""
    off = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0", "PYTHONIOENCODING": ""}
    ended = shell("headrace run -q 'fake:a%C3%A9b' hi", **off)
    assert (ended.returncode, ended.stdout) == (0, "a\\xe9b\n")
    assert "hint: Set PYTHONUTF8=1, or a locale such as LC_ALL=C.UTF-8." in ended.stderr


def test_messages_are_readable_in_every_encoding():
    """Signs of punctuation have plain forms."""
    ended = shell("headrace run fake:x hi -n -1", PYTHONIOENCODING="ascii")
    assert "must be a whole number >= 0" in ended.stderr


def test_a_file_name_that_is_no_text_keeps_its_bytes(tmp_path):
    """A script goes on with what is printed."""
    name = os.fsencode(tmp_path / "a") + b"\xff"
    program = (
        "import os, sys\n"
        "from headrace.cli.streams import standard_streams, escaped_text\n"
        "with standard_streams():\n"
        "    print(os.fsdecode(sys.stdin.buffer.read()), flush=True)\n"
        "    assert escaped_text() is None\n"
    )
    command = [sys.executable, "-c", program]
    assert subprocess.run(command, input=name, capture_output=True, check=True).stdout == (
        name + b"\n"
    )


# -- what is read ------------------------------------------------------------------


@pytest.mark.parametrize("command", ["tokenize --ids --no-special", "embed"])
def test_a_mark_of_the_byte_order_is_no_token(call, command):
    """Editors and shells write it before a text."""
    words = [*command.split(), "fake:x"]
    assert call(*words, stdin=b"\xef\xbb\xbfhi\n").out == call(*words, stdin=b"hi\n").out


def test_files_of_text_may_begin_with_the_mark_too(call, tmp_path):
    """A grammar, a schema, a template."""
    grammar = tmp_path / "grammar.gbnf"
    grammar.write_bytes(b'\xef\xbb\xbfroot ::= "yes"')
    assert call("run", "-q", "fake:", "hi", "--grammar", str(grammar)).out == "yes\n"
    schema = tmp_path / "schema.json"
    schema.write_bytes(b'\xef\xbb\xbf{"const": true}')
    assert call("run", "-q", "fake:", "hi", "--json-schema", str(schema)).out == "true\n"


def test_utf_16_is_named_with_a_remedy(call):
    """What some shells pipe."""
    ended = call("run", "fake:x", stdin="hi".encode("utf-16"))
    assert ended.code == 2
    assert "iconv -f UTF-16 -t UTF-8" in ended.err


# -- colours -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("environment", "coloured"),
    [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False), ({"NO_COLOR": ""}, True)],
)
def test_errors_are_coloured_only_where_that_is_wanted(environment, coloured):
    """On a terminal."""
    pty = pytest.importorskip("pty")
    ours, theirs = pty.openpty()
    subprocess.run(
        [sys.executable, "-m", "headrace", "run", "nothing.gguf", "hi"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=theirs,
        env={**os.environ, "TERM": "xterm", "NO_COLOR": "", **environment},
        timeout=120,
    )
    told = os.read(ours, 4096)
    os.close(ours)
    os.close(theirs)
    assert b"headrace: error" in told
    assert (b"\x1b[31m" in told) is coloured
    if environment.get("TERM") == "dumb":
        assert b"\x1b" not in told


def test_help_is_whole_and_can_be_shown_anywhere(call):
    """Each command's first sentence stands in the list; all of it is ASCII."""
    for group in ((), ("gguf",)):
        listed = " ".join(call(*group, "--help").out.split())
        assert "..." not in listed.replace("[ARGS]...", "").replace("(rpc_servers=...)", "")
        commands = app.commands["gguf"].commands if group else app.commands
        for name, command in commands.items():
            sentence = " ".join(command.help.split("\n\n")[0].split()).removesuffix(".")
            assert sentence.split(". ")[0] in listed, name
            assert call(*group, name, "--help").out.isascii(), name
