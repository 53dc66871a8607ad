"""Comments of config.yaml, written from the dataclasses that read it: one text, told once.

mousefacelift schema --comments config.yaml
"""

from __future__ import annotations

import dataclasses
import inspect
import re
import textwrap
import typing
from typing import Any, Literal, Union, get_args, get_origin

WIDTH = 140
LINE = re.compile(r"(?P<indent> *)(?P<key>[\w.-]+):(?P<value>( +[^#\s].*?)?)(  #.*)?")


def annotate(text: str, cls: type) -> str:
    """`text` of a YAML file that `cls` reads, each key with the words of its field's docstring and the values it may
    have.

    Keys, values, blank lines and comments at the left margin stay as they are; indented comment lines are replaced. A
    text that does not fit beside its key stands above it.
    """
    lines, path = [], []
    for line in text.splitlines():
        if re.match(r" +#", line):
            continue
        match = LINE.fullmatch(line)
        if match is None:
            lines.append(line)
            continue
        depth = len(match["indent"]) // 2
        path = [*path[:depth], match["key"]]
        key = line[: match.end("value")]
        words = _words(cls, path)
        if words and depth and len(key) + len(words) + 4 > WIDTH:
            margin = f"{match['indent']}# "
            lines += textwrap.wrap(words, WIDTH, initial_indent=margin, subsequent_indent=margin)
            words = ""
        lines.append(f"{key}  # {words}" if words else key)
    return "\n".join(lines) + "\n"


def _words(cls: Any, path: list[str]) -> str:
    """What the docstring says of the field at `path`, and its choices; nothing for names that the user chose."""
    for name in path[:-1]:
        cls = _inner(cls, name)
        if cls is None:
            return ""
    if not dataclasses.is_dataclass(cls) or path[-1] not in typing.get_type_hints(cls):
        return ""
    words = describe_fields(cls).get(path[-1], "")
    choices = _choices(typing.get_type_hints(cls)[path[-1]])
    told = all(re.search(rf"\b{re.escape(choice)}\b", words) for choice in choices)
    return f"{words} ({' | '.join(choices)})".strip() if choices and not told else words


def _inner(cls: Any, name: str) -> Any:
    """Type of what stands below `name`: of a dataclass's field, or of the values of a mapping."""
    if get_origin(cls) is dict:
        return get_args(cls)[1]
    return typing.get_type_hints(cls).get(name) if dataclasses.is_dataclass(cls) else None


def _choices(hint: Any) -> list[str]:
    if get_origin(hint) is Literal:
        return [str(value) for value in get_args(hint)]
    if get_origin(hint) in (Union, type(int | str)):
        return [choice for option in get_args(hint) for choice in _choices(option)]
    return []


def describe_fields(cls: type) -> dict[str, str]:
    """{field: text} of the comments behind a dataclass's fields and of its docstring's `Args:`; of `a, b: text` only
    `a` has it."""
    names = {field.name for field in dataclasses.fields(cls)}
    behind = re.findall(r"^    (\w+): [^#\n]*  # (.*)$", inspect.getsource(cls), re.M)
    found: dict[str, str] = {name: text for name, text in behind if name in names}
    first = None
    _, _, args = (cls.__doc__ or "").partition("Args:\n")
    for line in textwrap.dedent(args).splitlines():
        match = re.match(r" *([\w, ]+?): +(.*)", line)
        if match and {name.strip() for name in match[1].split(",")} <= names:
            first = match[1].split(",")[0].strip()
            found[first] = match[2].strip()
        elif first and line.strip():
            found[first] += " " + line.strip()
        elif not line.strip():
            first = None
    return {name: text.removesuffix(".") for name, text in found.items()}
