"""--help of every command says what the command does and what each of its options means."""

from __future__ import annotations

import argparse

import pytest

from mousefacelift.cli import GROUPS, SINGLE, build_parser


def commands(parser, name):
    """(name, parser) of every command below `parser`, by argparse's own tree."""
    groups = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    if not groups:
        yield name, parser
    for group in groups:
        for word, sub in group.choices.items():
            yield from commands(sub, f"{name} {word}")


@pytest.mark.parametrize("group", [*GROUPS, *SINGLE])
def test_every_command_and_option_is_explained(group):
    top = next(action for action in build_parser(group)._actions if isinstance(action, argparse._SubParsersAction))
    for name, parser in commands(top.choices[group], group):
        assert parser.description, f"{name} --help does not say what the command does"
        silent = [action.option_strings or action.dest for action in parser._actions if not action.help]
        assert not silent, f"{name} --help does not explain {silent}"
