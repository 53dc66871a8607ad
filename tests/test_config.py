from dataclasses import field
from typing import Literal

import pytest
from jsonschema import ValidationError, validate

from mousefacelift.config import config_hash, json_schema, load, section
from mousefacelift.errors import ConfigError


@section
class Inner:
    rate: float = 1e-3
    mode: Literal["exact", "approximate"] = "exact"


@section
class Outer:
    size: int
    inner: Inner = field(default_factory=Inner)
    angles: tuple[float, ...] = (30.0, 90.0)
    box: tuple[int, int] | None = None
    shares: dict[str, float] = field(default_factory=dict)


def test_values_are_typed_and_defaults_filled_in():
    config = load(Outer, {"size": 3, "inner": {"rate": 1}, "angles": [1, 2], "box": [1, 2], "shares": {"a": 1}}, "x")
    assert config == Outer(3, Inner(1.0), (1.0, 2.0), (1, 2), {"a": 1.0})


def test_a_misspelt_key_names_the_nearest():
    with pytest.raises(ConfigError, match="misspelt 'rate'"):
        load(Outer, {"size": 1, "inner": {"rat": 2}}, "x")


@pytest.mark.parametrize(
    "mapping, word",
    [
        ({"size": "3"}, "x.size"),
        ({"size": True}, "whole number"),
        ({"size": 1, "inner": {"rate": "1e-4"}}, "1.0e-4"),
        ({"size": 1, "inner": {"mode": "fast"}}, "exact, approximate"),
        ({"size": 1, "box": [1]}, "2 values"),
        ({}, "missing"),
        ([], "not a mapping"),
    ],
)
def test_wrong_values_say_where_and_what(mapping, word):
    with pytest.raises(ConfigError, match=word):
        load(Outer, mapping, "x")


def test_the_schema_agrees_with_the_loader():
    schema = json_schema(Outer)
    validate({"size": 3, "inner": {"mode": "exact"}, "box": None}, schema)
    for bad in (
        {"size": 3, "colour": 1},
        {"size": 3, "inner": {"mode": "x"}},
        {"size": 1.5},
        {"size": 3, "box": [1]},
        {},
    ):
        with pytest.raises(ValidationError):
            validate(bad, schema)


def test_the_hash_depends_on_values_not_on_order():
    assert config_hash({"a": 1, "b": 2}) == config_hash({"b": 2, "a": 1}) != config_hash({"a": 1, "b": 3})
    assert config_hash(Inner()) == config_hash({"rate": 1e-3, "mode": "exact"})
    assert config_hash([Inner()]) == config_hash([{"rate": 1e-3, "mode": "exact"}])


def test_a_key_that_is_not_handed_over_cannot_be_used():
    config = load(Outer, {"size": 3, "inner": {"rate": 2.0}}, "x", exact=True)
    assert config.size == 3 and config.inner.rate == 2.0
    for use in (
        lambda: config.inner.mode == "exact",
        lambda: list(config.angles),
        lambda: bool(config.box),
        lambda: config.shares["a"],
        lambda: f"{config.angles}",
    ):
        with pytest.raises(RuntimeError, match="add it to stage"):
            use()
    assert load(Outer, {"size": 3}, "x").inner.mode == "exact"


def test_the_hash_of_exact_keys_depends_on_them_alone():
    some = load(Outer, {"size": 3}, "x", exact=True)
    assert config_hash(some) == config_hash(load(Outer, {"size": 3}, "x", exact=True))
    assert config_hash(some) != config_hash(load(Outer, {"size": 4}, "x", exact=True))
