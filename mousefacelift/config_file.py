"""config.yaml written from the sections: every key with its value, the words of its field, and the choices it has.

mousefacelift schema --config config.yaml
"""

from __future__ import annotations

import dataclasses
import re
import textwrap
from typing import Any, Literal, get_args, get_origin

import yaml

from mousefacelift.schema import SCALES, PipelineConfig, complete

WIDTH = 120
HEAD = """\
# The one file that a user edits. Sections in stage order; every key is checked, a misspelt one is an error that names
# the nearest. The default is a small demo on a virtual recording. Your own recording: change recordings.<name>.path and
# frames; for real training change `scale`. Numbers like 1e-4 need a dot (1.0e-4). What differs can also stand in a file
# of its own: snakemake --configfile config.yaml mine.yaml
"""


def write_config(given: dict) -> str:
    """Text of config.yaml: the values of `given`, the defaults for all else.

    Keys that `scale` decides and `given` does not set stand as comments with the value that they have.
    """
    values, lines = complete(given), [HEAD.rstrip()]
    for field in dataclasses.fields(PipelineConfig):
        facts = PipelineConfig.__pydantic_fields__[field.name]
        value, own = values[field.name], given.get(field.name)
        if isinstance(value, dict):
            lines += ["", f"# ---- {field.name}: {facts.description}", f"{field.name}:"]
            lines += _mapping(facts.annotation, value, own or {}, field.name, 1)
        else:
            gap = [] if lines[-1].startswith(("seed", "scale", "arms", "sweep")) else [""]
            lines += gap + _key(f"{field.name}: {_flow(value)}", _words(facts), "")
    return "\n".join(lines) + "\n"


def _mapping(kind: Any, values: dict, given: dict, where: str, depth: int) -> list[str]:
    """Lines of a section, or of a mapping of names that the user chose."""
    indent, lines = "  " * depth, []
    for name, value in values.items():
        facts = kind.__pydantic_fields__[name] if dataclasses.is_dataclass(kind) else None
        inner = facts.annotation if facts else get_args(kind)[1]
        place, words = f"{where}.{name}", _words(facts) if facts else ""
        own = given.get(name) if isinstance(given, dict) else None
        if isinstance(value, dict) and value and (dataclasses.is_dataclass(inner) or get_origin(inner) is dict):
            lines += _key(f"{indent}{name}:", words, indent) + _mapping(inner, value, own or {}, place, depth + 1)
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            lines += _key(f"{indent}{name}:", words, indent) + [f"{indent}  - {_flow(item)}" for item in value]
        elif place in SCALES["demo"] and name not in given:
            lines += _key(f"{indent}# {name}: {_flow(value)}", f"{words}; by scale".lstrip("; "), indent)
        else:
            lines += _key(f"{indent}{name}: {_flow(value)}", words, indent)
    return lines


def _key(text: str, words: str, indent: str) -> list[str]:
    """A key with its words beside it, or above it where the line would grow too long."""
    if not words:
        return [text]
    if len(text) + len(words) + 4 <= WIDTH:
        return [f"{text}  # {words}"]
    return textwrap.wrap(words, WIDTH, initial_indent=f"{indent}# ", subsequent_indent=f"{indent}# ") + [text]


def _words(facts: Any) -> str:
    """Help of a field, with its choices where the text does not name them."""
    words, choices = facts.description or "", _choices(facts.annotation)
    words = " ".join(words.split())
    told = all(re.search(rf"\b{re.escape(choice)}\b", words) for choice in choices)
    return words if told else f"{words} ({' | '.join(choices)})".strip()


def _choices(kind: Any) -> list[str]:
    if get_origin(kind) is Literal:
        return [str(value) for value in get_args(kind)]
    return [choice for option in get_args(kind) for choice in _choices(option)] if get_origin(kind) is not dict else []


def _flow(value: Any) -> str:
    """A value on one line of YAML."""
    if isinstance(value, str) and (not value or yaml.safe_load(value) != value or not value[0].isalpha()):
        return f'"{value}"'
    return yaml.safe_dump([value], default_flow_style=True, width=10_000, sort_keys=False).strip()[1:-1]
