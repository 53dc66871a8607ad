"""The procedural collection: repeatable, varied, and every object fit to be drawn."""

import numpy as np
import pytest

from mousefacelift.objects.mesh import check_mesh, normalise
from mousefacelift.objects.procedural import FAMILIES, procedural_object


@pytest.mark.parametrize("number", range(len(FAMILIES)))
def test_each_family_makes_a_sound_mesh_that_depends_on_nothing_but_its_seed(number):
    mesh, again = procedural_object(5, number), procedural_object(5, number)
    check_mesh(mesh, mesh.meta["family"])
    assert np.array_equal(mesh.vertices, again.vertices) and np.array_equal(mesh.faces, again.faces)
    assert 500 < len(mesh.faces) < 200_000
    assert np.isfinite(mesh.normals).all() and np.isfinite(mesh.uv).all()
    moved, _ = normalise(mesh)
    assert np.ptp(moved.vertices, axis=0).max() > 1.0


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
