"""The command line as a tree, and what is wrong with a line that somebody wrote down for others to type."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping

import click

from reconciler.cli.root import COMMANDS, root

NAME = "gluster-state"
_ENDS = frozenset({"|", "||", "&&", ";", ">", ">>", "<", "&", "(the"})


def commands() -> Mapping[tuple[str, ...], click.Command]:
    """Return every command and group by its words: ``()`` is the program itself."""
    return dict(_walk((), root))


def _walk(words: tuple[str, ...], command: click.Command) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    yield words, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in COMMANDS if command is root else command.list_commands(context):
            child = command.get_command(context, name)
            assert child is not None
            yield from _walk((*words, name), child)


def problems_of(line: str) -> list[str]:
    """Return which words after each ``gluster-state`` in a line are no command or flag of ours."""
    words = shlex.split(line.replace("`", " "), comments=True)
    names = [at for at, word in enumerate(words) if word.strip('($;"').rpartition("/")[2] == NAME]
    return [problem for at in names for problem in _problems(words[at + 1 :])]


def _problems(words: list[str]) -> list[str]:
    tree = commands()
    path: tuple[str, ...] = ()
    command = tree[path]
    found = []
    for written in words:
        if written in _ENDS or written == "--":
            break
        word = written.rstrip(';)"')
        if word.startswith("-") and word != "-":
            if word.partition("=")[0] not in flags_of(command):
                found.append(f"{' '.join((NAME, *path))} has no {word}")
        elif isinstance(command, click.Group):
            path = (*path, word)
            if path not in tree:
                return [*found, f"there is no {' '.join((NAME, *path))}"]
            command = tree[path]
    return found


def flags_of(command: click.Command) -> set[str]:
    """Return every way to write a flag of a command."""
    options = [p for p in command.params if isinstance(p, click.Option)]
    return {"--help", "-h"} | {name for option in options for name in (*option.opts, *option.secondary_opts)}
