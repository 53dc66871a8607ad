"""Typed configuration: every section of config.yaml is a frozen dataclass that pydantic checks.

Each stage declares its section in `<package>/config.py`:

    @section
    class HullConfig:
        '''How the silhouettes are carved before a fit.'''

        grid: int = 96
        '''voxels along the longest side of the animal's bounding box'''

A `ClassVar` in it is a named constant: a number with its words that no lab tunes, and no key of config.yaml.
The class is the one place of a key, its type, its default and its words: config.yaml with its comments and the JSON
schema for editors are written from it (`mousefacelift schema`). A new section is a field of `schema.PipelineConfig`.
"""

from __future__ import annotations

import dataclasses
import difflib
import hashlib
import json
import re
from functools import cache
from typing import Any, TypeVar, dataclass_transform

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from mousefacelift.errors import ConfigError

T = TypeVar("T")
KINDS = {
    "int": "whole number",
    "float": "number",
    "string": "text",
    "bool": "true or false",
    "tuple": "list",
    "dict": "mapping",
    "none": "null",
    "finite": "number that is finite",
}


@dataclass_transform(frozen_default=True, field_specifiers=(dataclasses.field,))
def section(cls: type[T]) -> type[T]:
    """A section of config.yaml: a frozen dataclass whose values are checked; the text behind a field is its help.

    Numbers are finite, and not negative where the default is not; `LEAST` and `MOST` (ClassVar) hold other bounds.
    """
    own = cls.__dict__.get("__post_init__")

    def check(self) -> None:
        _require_bounds(self)
        if own is not None:
            own(self)

    cls.__post_init__ = check  # type: ignore[attr-defined]
    rules = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, use_attribute_docstrings=True)
    return dataclass(frozen=True, config=rules)(cls)


def _require_bounds(section: Any) -> None:
    least, most = getattr(section, "LEAST", {}), getattr(section, "MOST", {})
    for field in dataclasses.fields(section):
        name, value = field.name, getattr(section, field.name)
        if _is_number(value) and (name in least or _is_number(field.default) and field.default >= 0):
            require_at_least(section, least.get(name, 0), name)
        if _is_number(value) and value > most.get(name, value):
            raise ValueError(f"{name} is {value:g}, and must be {most[name]:g} or less")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def require_at_least(section: Any, least: float, *names: str) -> None:
    """Raise ValueError for the first of the fields `names` that is smaller than `least`."""
    for name in names:
        if getattr(section, name) < least:
            raise ValueError(f"{name} is {getattr(section, name):g}, and must be {least:g} or more")


@cache
def adapter(cls: type) -> TypeAdapter:
    """pydantic's reader and writer of a section."""
    return TypeAdapter(cls)


def load(cls: type[T], mapping: dict | None, where: str, exact: bool = False) -> T:
    """Instance of the section `cls` filled from `mapping`; `where` is the dotted place named in errors.

    Args:
        exact: the mapping holds all that may be read. A key that it does not hold is `Absent`: to use it is an error,
            so that a rule whose code reads a key that it was not given fails instead of taking a default.
    Raises:
        ConfigError: a key that no section has, or a value of a wrong kind.
    """
    mapping = {} if mapping is None else mapping
    try:
        value = adapter(cls).validate_json(json.dumps(mapping))
    except ValidationError as error:
        raise _explain(error, cls, mapping, where) from error
    if exact:
        _take_out(value, mapping, where)
    return value


def _explain(error: ValidationError, cls: type, mapping: Any, where: str) -> ConfigError:
    """The deepest mistake, in the project's words."""
    mistakes = [(_place(mistake, mapping), mistake) for mistake in error.errors()]
    place, first = max(mistakes, key=lambda pair: len(pair[0]))
    key = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in (where, *place)).lstrip(".")
    kind, mend = first["type"], "mend config.yaml"
    if kind == "unexpected_keyword_argument":
        names = [field.name for field in dataclasses.fields(_class_at(cls, place[:-1]))]
        near = difflib.get_close_matches(str(place[-1]), names, n=1)
        likely = f"misspelt '{near[0]}'" if near else "a key of another section or version"
        expected = f"one of {', '.join(names)}"
        return ConfigError(
            f"config key '{key}' is not known", expected=expected, likely=likely, hint="mend config.yaml"
        )
    if kind == "missing" and isinstance(place[-1], str) and not isinstance(first["loc"][-1], int):
        return ConfigError(f"config key '{key}' is missing", hint=mend)
    if kind == "value_error":
        return ConfigError(f"config section '{key}' is not usable: {first['ctx']['error']}", hint=mend)
    got = repr(first["input"])[:200]
    if kind == "dataclass_type":
        return ConfigError(f"config section '{key}' is not a mapping", got=got, expected="key: value lines")
    number = isinstance(first["input"], str) and re.fullmatch(r"[\d.]+[eE][-+]?\d+", first["input"])
    return ConfigError(
        f"config key '{key}' has a wrong value",
        got=got,
        expected=" or ".join(dict.fromkeys(_wanted(mistake) for other, mistake in mistakes if other == place)),
        likely="YAML reads 1e-4 as text; write 1.0e-4" if number else None,
        hint=mend,
    )


def _place(mistake: Any, mapping: Any) -> list:
    """Keys and positions of a mistake. pydantic adds names of the members of unions, which no user wrote."""
    place = []
    for part in mistake["loc"]:
        if isinstance(mapping, dict) and part in mapping:
            mapping = mapping[part]
        elif isinstance(mapping, list) and isinstance(part, int) and part < len(mapping):
            mapping = mapping[part]
        else:
            missing = mistake["type"] == "missing" and isinstance(mapping, dict)
            return [*place, part] if missing else place
        place.append(part)
    return place


def _wanted(mistake: Any) -> str:
    kind, context = mistake["type"], mistake.get("ctx", {})
    if kind == "literal_error":
        return ", ".join(re.findall(r"'([^']*)'", context["expected"]))
    if kind == "too_long":
        return f"{context['max_length']} values"
    if kind == "missing":
        return f"{mistake['loc'][-1] + 1} values"
    return KINDS.get(kind.split("_")[0], mistake["msg"])


def _class_at(cls: Any, place: list) -> Any:
    """The section at a place below the section `cls`."""
    for part in place:
        if dataclasses.is_dataclass(cls):
            cls = cls.__pydantic_fields__[part].annotation
        else:  # values of a mapping, items of a list
            cls = cls.__args__[-1] if isinstance(part, str) else cls.__args__[0]
    return cls


class Absent:
    """Stands for a key that a rule did not hand to its command; whatever would use its value is told so."""

    def __init__(self, key: str) -> None:
        self.key = key

    def refuse(self, *_):
        raise RuntimeError(
            f"config key '{self.key}' is read by code whose rule does not hand it over: add it to stage(...) in"
            " workflow/rules"
        )

    def __getattr__(self, name: str):
        if name.startswith("__"):
            raise AttributeError(name)
        return self.refuse()


for _name in (
    "bool eq ne lt le gt ge len iter getitem contains int float index str format fspath call add radd sub rsub mul rmul"
    " truediv rtruediv floordiv neg"
).split():
    setattr(Absent, f"__{_name}__", Absent.refuse)


def _take_out(value: Any, mapping: Any, where: str) -> None:
    """Put `Absent` in the place of every key of the section `value` that `mapping` does not hold."""
    if isinstance(value, dict):
        for name, inner in value.items():
            _take_out(inner, mapping[name], f"{where}.{name}")
    elif dataclasses.is_dataclass(value):
        for field in dataclasses.fields(value):
            if field.name in mapping:
                _take_out(getattr(value, field.name), mapping[field.name], f"{where}.{field.name}")
            else:
                object.__setattr__(value, field.name, Absent(f"{where}.{field.name}"))


def canonical_json(value: Any) -> str:
    """JSON of sections and plain values with sorted keys: equal text for equal meaning."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), default=_plain)


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    return "absent" if isinstance(value, Absent) else str(value)


def config_hash(value: Any) -> str:
    """16 hexadecimal digits of the SHA-256 of the canonical JSON of sections and plain values."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()[:16]


def json_schema(cls: type) -> dict:
    """JSON schema (draft 2020-12 vocabulary) of a section, with defaults and help."""
    return adapter(cls).json_schema()
