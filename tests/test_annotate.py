from dataclasses import dataclass, field
from typing import Literal

from mousefacelift.annotate import annotate, describe_fields


@dataclass(frozen=True)
class Inner:
    """Args:
    steps, rate: how long
        it goes on.
    """

    steps: int = 1
    rate: float = 0.1
    kind: Literal["fast", "slow"] = "fast"  # speed


@dataclass(frozen=True)
class Outer:
    """A section.

    Args:
        inner: the engine.
        named: by the user.
    """

    inner: Inner = field(default_factory=Inner)
    named: dict[str, Inner] = field(default_factory=dict)


def test_fields_are_described_by_docstring_or_comment():
    assert describe_fields(Inner) == {"steps": "how long it goes on", "kind": "speed"}


def test_every_key_gets_the_words_of_its_field_and_nothing_else_changes():
    text = (
        "# head\n\ninner:  # old\n  # old words\n  steps: 3  # old\n  rate: 1.0\n  kind: slow\n"
        "named:\n  a: {steps: 1}\n  b:\n    steps: 2\n"
    )
    expected = (
        "# head\n\ninner:  # the engine\n  steps: 3  # how long it goes on\n  rate: 1.0\n  kind: slow  # speed (fast "
        "| slow)\n"
        "named:  # by the user\n  a: {steps: 1}\n  b:\n    steps: 2  # how long it goes on\n"
    )
    assert annotate(text, Outer) == expected
    assert annotate(expected, Outer) == expected


def test_words_that_do_not_fit_beside_a_key_stand_above_it():
    @dataclass(frozen=True)
    class Long:
        engine: int = 0

    Long.__doc__ = "Args:\n    engine: " + "word " * 40

    @dataclass(frozen=True)
    class Section:
        part: Long = field(default_factory=Long)

    Section.__annotations__["part"] = Long
    lines = annotate("part:\n  engine: 3\n", Section).splitlines()
    assert len(lines) == 4 and lines[-1] == "  engine: 3"
    assert all(line.startswith("  # word") and len(line) <= 140 for line in lines[1:-1])
