"""The procedural collection: repeatable, varied, and every object fit to be drawn."""

import numpy as np
import pytest

from mousefacelift.objects.mesh import check_mesh, normalise
from mousefacelift.objects.procedural import EVERY, FAMILIES, INGREDIENTS, choose_family, procedural_object


@pytest.mark.parametrize("number", range(len(FAMILIES)))
def test_each_family_makes_a_sound_mesh_that_depends_on_nothing_but_its_seed(number):
    mesh, again = procedural_object(5, number), procedural_object(5, number)
    check_mesh(mesh, mesh.meta["family"])
    assert np.array_equal(mesh.vertices, again.vertices) and np.array_equal(mesh.faces, again.faces)
    assert 500 < len(mesh.faces) < 200_000
    assert np.isfinite(mesh.normals).all() and np.isfinite(mesh.uv).all()
    moved, _ = normalise(mesh)
    assert np.ptp(moved.vertices, axis=0).max() > 1.0


@pytest.mark.parametrize("name", INGREDIENTS)
@pytest.mark.parametrize("turn", range(3))
def test_each_ingredient_makes_sound_meshes_that_depend_on_nothing_but_their_seed(name, turn):
    number = EVERY * (turn + 1) - 1
    mesh, again = procedural_object(7, number, (name,)), procedural_object(7, number, (name,))
    assert mesh.meta["family"] == INGREDIENTS[name].__name__
    check_mesh(mesh, name)
    assert np.array_equal(mesh.vertices, again.vertices) and np.array_equal(mesh.colors, again.colors)
    assert 300 < len(mesh.faces) < 200_000 and np.isfinite(mesh.normals).all()
    assert not np.array_equal(mesh.vertices, procedural_object(8, number, (name,)).vertices)


def test_ingredients_take_every_fifth_object_in_turn_and_the_families_the_rest():
    names = [choose_family(k, tuple(INGREDIENTS)).__name__ for k in range(20)]
    assert names[4::5] == [family.__name__ for family in INGREDIENTS.values()]
    kept = [name for k, name in enumerate(names) if k % 5 != 4]
    assert kept == [family.__name__ for family in FAMILIES[:16]]
    assert choose_family(4, ()) is FAMILIES[4]


def test_cuts_take_volume_away():
    from mousefacelift.objects.families_composed import make_solid
    from mousefacelift.objects.surfaces import implicit

    def measures(field):
        part = implicit(field, lambda p: np.ones((*p.shape[:-1], 3)), 48)
        corners = part["vertices"][part["faces"]]
        normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        volume = np.einsum("fi,fi->", corners.mean(axis=1), normals) / 6
        return abs(volume)

    random = np.random.default_rng(3)
    body, tool = make_solid(random, 0.8), make_solid(random, 0.5)
    whole, cut = measures(body), measures(lambda p: np.maximum(body(p), -tool(p)))
    assert 0.2 * whole < cut < 0.95 * whole


def test_capsules_join_as_the_formula_says(rng):
    from mousefacelift.objects.families_implicit import capsules_field

    ends, radii, points = rng.uniform(-1, 1, (5, 2, 3)), rng.uniform(0.05, 0.3, (5, 2)), rng.uniform(-1, 1, (400, 3))
    ends[0, 1] = ends[0, 0]  # a ball
    total = np.full(len(points), 1e-18)
    for (a, b), (ra, rb) in zip(ends, radii):
        along = np.clip((points - a) @ (b - a) / max((b - a) @ (b - a), 1e-9), 0, 1)
        distance = np.linalg.norm(points - a - along[:, None] * (b - a), axis=1) - (ra + along * (rb - ra))
        total += np.exp(-np.clip(distance / 0.04, -20, 40))
    assert np.allclose(capsules_field(ends, radii, 0.04)(points), -0.04 * np.log(total), atol=1e-12)


def euler_characteristic(mesh) -> int:
    """V - E + F of the surface after joining coincident vertices."""
    _, place = np.unique(np.round(mesh.vertices, 6), axis=0, return_inverse=True)
    faces = place.reshape(-1)[mesh.faces]
    faces = faces[(faces[:, 0] != faces[:, 1]) & (faces[:, 1] != faces[:, 2]) & (faces[:, 2] != faces[:, 0])]
    edges = np.unique(np.sort(np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]), axis=1), axis=0)
    return len(np.unique(faces)) - len(edges) + len(faces)


def test_topology_varies():
    by_name = {FAMILIES[k].__name__: k for k in range(len(FAMILIES))}
    assert euler_characteristic(procedural_object(0, by_name["gear"])) == 0  # one hole
    assert euler_characteristic(procedural_object(0, by_name["lattice"])) < -10  # many
    assert euler_characteristic(procedural_object(0, by_name["superquadric"])) == 2


@pytest.mark.slow
def test_two_hundred_and_forty_objects_are_all_sound_and_all_different():
    places = set()
    for number in range(240):
        mesh = procedural_object(0, number)
        check_mesh(mesh, str(number))
        places.add(mesh.vertices.tobytes())
    assert len(places) == 240
