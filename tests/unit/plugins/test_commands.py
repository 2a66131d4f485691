"""Commands that plugins bring: listed without being imported, run as headrace's own are."""

from __future__ import annotations

import json
import sys

import pytest

from headrace.backend import commands
from headrace.backend.plugins import discover
from headrace.cli.app import COMMANDS
from headrace.errors import BackendProtocolError
from tests.unit.cli.conftest import call
from tests.unit.plugins.test_command import headrace
from tests.unit.plugins.test_discovery import only_quarantined

__all__ = ["call"]  # a fixture

PLUGIN = """
    from headrace.protocols import Command, hookimpl

    loads = []

    def load():
        loads.append(1)
        {load}

    @hookimpl
    def headrace_register_commands(register):
        register({registered})
"""
CLICK = """import click
        @click.command("mill")
        @click.argument("flour")
        def mill(flour):
            '''Mill it. Finely.'''
            click.echo(f"milled {flour}")
        return mill"""
GOOD = "Command('mill', 'Mill it.', load)"


def install(site, *, load: str = CLICK, registered: str = GOOD, name: str = "mill") -> None:
    """Install a plugin with a command."""
    site.install(name, PLUGIN.format(load=load, registered=registered), plugin=name)


def test_headraces_own_names_are_written_down():
    """So that looking for plugins imports no command line."""
    assert set(COMMANDS) == commands.OWN


def test_a_plugins_command_is_run(site, call):
    """With its own arguments and help."""
    install(site)
    assert call("mill", "rye").out == "milled rye\n"
    assert "Mill it. Finely." in call("mill", "--help").out
    assert call("mill").code == 2


def test_a_plugins_command_is_listed_without_being_imported(site, call):
    """With the sentence that the plugin gives."""
    install(site)
    assert "  mill         Mill it.\n" in call("--help").out
    assert sys.modules[site.modules[0]].loads == []


def test_headraces_own_commands_load_no_plugins_one(site, call):
    """They are found first."""
    install(site)
    assert call("run", "fake:Hello", "x", "-q").out == "Hello\n"
    assert sys.modules[site.modules[0]].loads == []


def test_backends_lists_commands(site, call):
    """For people and for programs."""
    install(site)
    assert "headrace mill: command  (mill 1.0)\n    Mill it.\n" in call("backends").out
    listed = json.loads(call("backends", "--json").out)["commands"]
    (found,) = [each for each in listed if each["name"] == "mill"]
    assert (found["sentence"], found["plugin"], found["distribution"]) == (
        "Mill it.", "mill", "mill"
    )  # fmt: skip


def test_doctor_lists_commands(site, call):
    """Among what plugins bring."""
    install(site)
    reports = json.loads(call("doctor", "--json", "--no-self-test").out)["plugins"]
    assert {"kind": "command", "name": "mill", "distribution": "mill 1.0"} in reports


@pytest.mark.parametrize(
    ("registered", "reason"),
    [
        ("3", r"must be a headrace.protocols.Command, got 3"),
        ("Command", r"must be a headrace.protocols.Command"),
        ("Command('A B', 'x', load)", "Command.name must be lower-case"),
        ("Command(3, 'x', load)", "Command.name must be lower-case"),
        ("Command('run', 'x', load)", "'run' is one of headrace's own"),
        ("Command('mill', '', load)", "must be one line of text"),
        ("Command('mill', 'a\\nb', load)", "must be one line of text"),
        ("Command('mill', 3, load)", "must be one line of text"),
        ("Command('mill', 'x', None)", "load must be a method"),
    ],
)
def test_what_is_no_command_is_quarantined(site, registered, reason, call):
    """With what to do; those of others are there."""
    install(site, registered=registered, name="broken")
    install(site)
    assert reason in only_quarantined(discover(), "broken").reason
    assert call("mill", "rye").out == "milled rye\n"


def test_a_taken_name_has_a_remedy(site):
    """Its author's, and the user's."""
    install(site, registered="Command('run', 'x', load)")
    assert "Its author gives it another name" in only_quarantined(discover(), "mill").reason


def test_a_name_belongs_to_the_plugin_that_is_called_so(site, call):
    """As backends' names do."""
    install(site, name="a_first", load="raise AssertionError('asked')")
    install(site)
    assert call("mill", "rye").out == "milled rye\n"
    reason = only_quarantined(discover(), "a_first").reason
    assert "second command named 'mill'; the one of mill is used" in reason


@pytest.mark.parametrize(
    ("load", "message"),
    [
        ("import no_such_thing", "the command 'mill' of mill cannot be imported"),
        ("raise ZeroDivisionError('no')", "the command 'mill' of mill failed: ZeroDivisionError"),
        ("raise SystemExit(0)", "the command 'mill' of mill failed"),
        ("return print", "the command 'mill' of mill is no click.Command"),
    ],
)
def test_a_command_that_cannot_be_had_is_told_with_its_plugin(site, call, load, message):
    """In a line, not a traceback."""
    install(site, load=load)
    ended = call("mill", "rye")
    assert ended.code == 1
    assert message in ended.err
    assert "Traceback" not in ended.err
    assert call("--help").code == 0


def test_what_a_plugin_prints_while_it_loads_is_no_output(site, call):
    """It is the command's."""
    install(site, load="print('loading'); " + CLICK)
    ended = call("mill", "rye")
    assert ended.out == "milled rye\n"
    assert "loading" in ended.err


def test_strict_plugins_take_no_help_away(site, call, monkeypatch):
    """Headrace's own commands are listed; one that may be a plugin's is told why it is not."""
    install(site, registered="3", name="broken")
    monkeypatch.setenv("HEADRACE_STRICT_PLUGINS", "1")
    assert "Continue PROMPT" in call("--help").out
    assert "must be a headrace.protocols.Command" in call("mill").err
    with pytest.raises(BackendProtocolError):
        discover()


def test_a_command_of_a_distribution_that_is_not_here_says_what_to_install(site, call, monkeypatch):
    """Beside what click says."""
    monkeypatch.setenv("HEADRACE_PLUGINS", "fake")
    ended = call("serve", "fake:")
    assert ended.code == 2
    assert "HEADRACE_PLUGINS has to name headrace-server" in ended.err
    monkeypatch.delenv("HEADRACE_PLUGINS")
    monkeypatch.setattr("headrace.backend.plugins.sources.installed", list)
    ended = call("serve", "fake:")
    assert ended.code == 2
    assert "No such command 'serve'. headrace-server brings it" in ended.err
    assert "pip install 'headrace[server]'" in ended.err
    assert "pip install" not in call("sreve").err


def test_a_distribution_that_is_broken_says_so_instead(site):
    """What is wrong with it, not that it is to be installed."""
    site.install("headrace-server", "import no_such_thing", plugin="server")
    ended = headrace(site, "serve", "fake:")
    assert ended.returncode == 2
    assert "headrace-server is installed, but cannot be used" in ended.stderr
    assert "no_such_thing" in ended.stderr
