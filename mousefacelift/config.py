"""Typed configuration: frozen dataclasses filled from mappings, and the JSON schema made from the same classes.

Each stage declares its section as a frozen dataclass in `<package>/config.py`, defaults written out. The
Snakefile validates config.yaml with the schema generated here (`mousefacelift schema`); a command loads its
own section with `load`. A key that no dataclass field reads is an error that names the nearest one.
"""

from __future__ import annotations

import dataclasses
import difflib
import hashlib
import json
import types
import typing
from typing import Any, Literal, TypeVar, Union, get_args, get_origin

from mousefacelift.errors import ConfigError

T = TypeVar("T")


def load(cls: type[T], mapping: dict | None, where: str) -> T:
    """Instance of the dataclass `cls` filled from `mapping`; `where` is the dotted place named in errors."""
    mapping = {} if mapping is None else mapping
    if not isinstance(mapping, dict):
        raise ConfigError(f"config section '{where}' is not a mapping", got=repr(mapping), expected="key: value lines")
    hints = typing.get_type_hints(cls)
    names = [field.name for field in dataclasses.fields(cls)]
    for key in mapping:
        if key not in names:
            near = difflib.get_close_matches(str(key), names, n=1)
            raise ConfigError(
                f"config key '{where}.{key}' is not known",
                expected=f"one of {', '.join(names)}",
                likely=f"misspelt '{near[0]}'" if near else "a key of another section or version",
            )
    values = {}
    for field in dataclasses.fields(cls):
        if field.name in mapping:
            values[field.name] = _convert(mapping[field.name], hints[field.name], f"{where}.{field.name}")
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise ConfigError(f"config key '{where}.{field.name}' is missing")
    try:
        return cls(**values)
    except ValueError as error:
        raise ConfigError(f"config section '{where}' is not usable: {error}") from error


def _convert(value: Any, hint: Any, where: str) -> Any:
    origin = get_origin(hint)
    if hint is Any:
        return value
    if origin in (Union, types.UnionType):
        return _convert_union(value, get_args(hint), where)
    if origin is Literal:
        if value not in get_args(hint):
            raise _wrong(value, f"one of {', '.join(map(str, get_args(hint)))}", where)
        return value
    if dataclasses.is_dataclass(hint):
        return load(hint, value, where)
    if origin in (tuple, list):
        return _convert_sequence(value, hint, origin, where)
    if origin is dict:
        if not isinstance(value, dict):
            raise _wrong(value, "a mapping", where)
        key_hint, item_hint = get_args(hint)
        return {_convert(k, key_hint, where): _convert(v, item_hint, f"{where}.{k}") for k, v in value.items()}
    return _convert_scalar(value, hint, where)


def _convert_union(value: Any, options: tuple, where: str) -> Any:
    if value is None and type(None) in options:
        return None
    errors = []
    for option in (o for o in options if o is not type(None)):
        try:
            return _convert(value, option, where)
        except ConfigError as error:
            errors.append(error)
    raise errors[-1]


def _convert_sequence(value: Any, hint: Any, origin: type, where: str) -> Any:
    if not isinstance(value, (list, tuple)):
        raise _wrong(value, "a list", where)
    args = get_args(hint)
    if origin is tuple and args and args[-1] is not Ellipsis:
        if len(args) != len(value):
            raise _wrong(value, f"{len(args)} values", where)
        return tuple(_convert(v, a, f"{where}[{i}]") for i, (v, a) in enumerate(zip(value, args)))
    return origin(_convert(v, args[0], f"{where}[{i}]") for i, v in enumerate(value))


def _convert_scalar(value: Any, hint: Any, where: str) -> Any:
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if hint is int and isinstance(value, bool):
        raise _wrong(value, "a whole number", where)
    if not isinstance(value, hint):
        likely = "YAML reads 1e-4 as text; write 1.0e-4" if hint is float and isinstance(value, str) else None
        raise _wrong(value, hint.__name__, where, likely)
    return value


def _wrong(value: Any, expected: str, where: str, likely: str | None = None) -> ConfigError:
    return ConfigError(f"config key '{where}' has a wrong value", got=repr(value), expected=expected, likely=likely)


def canonical_json(section: Any) -> str:
    """JSON of a dataclass or plain value with sorted keys: equal text for equal meaning."""
    if dataclasses.is_dataclass(section) and not isinstance(section, type):
        section = dataclasses.asdict(section)
    return json.dumps(section, sort_keys=True, separators=(",", ":"), default=str)


def config_hash(section: Any) -> str:
    """16 hexadecimal digits of the SHA-256 of a section's canonical JSON."""
    return hashlib.sha256(canonical_json(section).encode()).hexdigest()[:16]


def json_schema(cls: type) -> dict:
    """JSON schema (draft 2020-12 vocabulary) of a dataclass; unknown keys are refused, defaults are filled in."""
    hints = typing.get_type_hints(cls)
    properties, required = {}, []
    for field in dataclasses.fields(cls):
        entry = _schema_of(hints[field.name])
        if field.default is not dataclasses.MISSING:
            entry["default"] = _plain(field.default)
        elif field.default_factory is not dataclasses.MISSING:
            entry["default"] = _plain(field.default_factory())
        else:
            required.append(field.name)
        properties[field.name] = entry
    schema = {"type": "object", "additionalProperties": False, "properties": properties}
    return schema | ({"required": required} if required else {})


def _plain(value: Any) -> Any:
    return json.loads(canonical_json(value))


def _schema_of(hint: Any) -> dict:
    origin = get_origin(hint)
    if hint is Any:
        return {}
    if origin in (Union, types.UnionType):
        return {"anyOf": [_schema_of(option) for option in get_args(hint)]}
    if origin is Literal:
        return {"enum": list(get_args(hint))}
    if dataclasses.is_dataclass(hint):
        return json_schema(hint)
    if origin in (tuple, list):
        args = get_args(hint)
        if origin is tuple and args and args[-1] is not Ellipsis:
            return {
                "type": "array",
                "prefixItems": [_schema_of(a) for a in args],
                "minItems": len(args),
                "maxItems": len(args),
            }
        return {"type": "array", "items": _schema_of(args[0])}
    if origin is dict:
        return {"type": "object", "additionalProperties": _schema_of(get_args(hint)[1])}
    names = {str: "string", int: "integer", float: "number", bool: "boolean", type(None): "null"}
    return {"type": names[hint]}
