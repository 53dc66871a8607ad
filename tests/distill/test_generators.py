"""The registry of generators: every kind has its module, every module its kind."""

from pathlib import Path

import pytest

from mousefacelift.config import load
from mousefacelift.core.provenance import _read_module
from mousefacelift.distill import generators
from mousefacelift.distill.config import GeneratorConfig
from mousefacelift.distill.load_generator import PLUG_INS, recipe_of
from mousefacelift.errors import ConfigError


@pytest.mark.parametrize("kind", generators.KINDS)
def test_every_kind_is_made_and_read_by_the_module_of_its_name(kind):
    recipe = recipe_of(kind)
    assert callable(recipe.make) and callable(recipe.load)
    assert load(GeneratorConfig, {"kind": kind}, "distill.generator").kind == kind


def test_no_module_with_a_recipe_is_left_out():
    folder = Path(generators.__file__).parent
    recipes = {path.stem for path in folder.glob("*.py") if "\ndef make(" in path.read_text()}
    assert recipes == set(generators.KINDS)


def test_a_kind_that_nobody_registered_is_refused_by_name():
    with pytest.raises(ConfigError, match="kind"):
        load(GeneratorConfig, {"kind": "magic"}, "distill.generator")


def test_the_code_of_every_kind_is_code_of_what_makes_and_reads_them():
    imported = _read_module("mousefacelift.distill.load_generator")[1]
    assert {f"{PLUG_INS}.{kind}" for kind in generators.KINDS} <= set(imported)
