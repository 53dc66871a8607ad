"""A small collection of procedural textured objects: a stand-in where no Objaverse can be downloaded.

Part of the objects stage. `procedural_object(seed, number)` is a mesh of one of the families (families_*.py), always
the same for the same seed and number. Families differ in topology: solids, tubes and knots, linked rings, lattices of
high genus, furniture of many parts, open two-sided sheets, cut-out cards, glass. The samples say `collection:
procedural`; nobody should take them for Objaverse.
"""

import numpy as np

from mousefacelift.objects.families_built import crystal, furniture, tower
from mousefacelift.objects.families_composed import carved, composition, relief, wireframe
from mousefacelift.objects.families_implicit import blob, creature, gear, lattice, tree
from mousefacelift.objects.families_sheets import (
    chain,
    knot,
    lantern,
    mug,
    plant,
    ribbon,
    spring,
    superquadric,
    supershape,
    vase,
)
from mousefacelift.objects.mesh import Mesh, join_parts

FAMILIES = (
    superquadric,
    supershape,
    vase,
    mug,
    knot,
    chain,
    spring,
    blob,
    creature,
    tree,
    lattice,
    furniture,
    tower,
    gear,
    crystal,
    ribbon,
    plant,
    lantern,
    creature,
    blob,
)


INGREDIENTS = {"composition": composition, "cuts": carved, "heights": relief, "wires": wireframe}
EVERY = 5  # with ingredients, each of so many objects in turn is made of one of them


def choose_family(number: int, ingredients: tuple[str, ...]):
    """The family of object `number`: the eighteen in turn, and every EVERY-th object one of the ingredients in turn."""
    if ingredients and number % EVERY == EVERY - 1:
        return INGREDIENTS[ingredients[number // EVERY % len(ingredients)]]
    kept = number - number // EVERY if ingredients else number
    return FAMILIES[kept % len(FAMILIES)]


def procedural_object(seed: int, number: int, ingredients: tuple[str, ...] = ()) -> Mesh:
    """Object `number` of the collection `seed`, in a random upright orientation, Z up.

    Args:
        ingredients: names of INGREDIENTS that are mixed in; the object depends on nothing else.
    """
    random = np.random.default_rng([seed, number])
    family = choose_family(number, ingredients)
    turn = random.uniform(0, 2 * np.pi)
    rotation = np.array([[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1.0]])
    mesh = join_parts(family(random), rotation)
    mesh.meta.update(family=family.__name__, collection="procedural")
    return mesh
