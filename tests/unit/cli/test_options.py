"""There is one way in which commands get what was typed."""

from __future__ import annotations

import inspect

import click
import pytest

from headrace.cli.app import COMMANDS, app
from headrace.cli.chat import ChatOptions
from headrace.cli.group import Group, LateCommands
from headrace.cli.options import gathered, kept
from headrace.cli.run import RunOptions
from headrace.cli.settings import Settings


def commands(group: click.Group = app):
    """Every command, those of groups too."""
    for each in group.commands.values():
        if isinstance(each, click.Group):
            yield from commands(each)
        else:
            yield each


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_is_listed_with_the_first_sentence_of_its_help(name):
    """Which is written down beside it: the list imports none of them."""
    command = app.commands[name]

    assert command.name == name
    assert COMMANDS[name][2] == command.get_short_help_str(10**6)


def test_a_command_that_is_added_is_one_of_them():
    """By whoever extends the command line, as to any group of click's."""
    group = Group(commands=LateCommands(COMMANDS))
    group.add_command(click.Command("late", help="Come late. Go early."))

    listed = group.get_help(click.Context(group))

    assert "Come late." in listed
    assert "early" not in listed
    assert set(group.commands) == {*COMMANDS, "late"}
    assert len(group.commands) == len(COMMANDS) + 1
    del group.commands["late"]
    assert group.get_command(click.Context(group), "late") is None


@pytest.mark.parametrize(("name", "kind"), [("run", RunOptions), ("chat", ChatOptions)])
def test_a_commands_own_options_are_one_value(name, kind):
    """With a field for each, and for nothing else."""
    own = {each.name for each in app.commands[name].params if each.expose_value}
    assert own == set(inspect.signature(kind).parameters)


@pytest.mark.parametrize("shared", ["backend", "n_ctx", "n_threads", "temperature", "timeout"])
def test_what_commands_share_is_no_argument_of_any(shared):
    """It is kept in the settings, where whoever needs it looks."""
    for command in commands():
        for parameter in command.params:
            names = {parameter.name, *getattr(parameter, "names", ())}
            if shared in names and command.name != "rpc-server":
                assert not parameter.expose_value, command.name


def test_what_is_kept_is_only_what_was_given():
    """The others keep the library's defaults."""

    @click.command()
    @kept("engine", "n_batch", "--n-batch", type=int)
    @kept("engine", "n_ctx", "--n-ctx", type=int, convert=lambda value: value + 1)
    @click.pass_context
    def command(context):
        assert context.find_object(Settings).engine == {"n_ctx": 8}

    command.main(["--n-ctx", "7"], standalone_mode=False)


def test_a_gathered_command_keeps_its_name_and_help():
    """They are those of the function."""

    @gathered(dict)
    def mill(asked):
        """Grind."""
        assert asked == {"fine": True}

    assert (mill.__name__, mill.__doc__) == ("mill", "Grind.")
    mill(fine=True)
