"""Normalisation, normals and refusals."""

import numpy as np
import pytest

from mousefacelift.errors import DataError
from mousefacelift.objects.mesh import check_mesh, make_mesh, normalise, smooth_normals

from .shapes import sphere


def test_normalised_objects_touch_the_unit_sphere_and_ignore_stray_points(rng):
    mesh = sphere((3, -2, 5), 0.7)
    stray = make_mesh(np.concatenate([mesh.vertices, [[900.0, 0, 0]]]), mesh.faces)
    moved, similarity = normalise(stray)
    assert np.linalg.norm(moved.used_vertices, axis=1).max() == pytest.approx(1.0)
    assert np.allclose(similarity.apply(stray.vertices), moved.vertices)
    assert np.abs(moved.used_vertices.max(0) + moved.used_vertices.min(0)).max() < 1e-9


def test_normals_are_smooth_across_a_seam():
    mesh = sphere(subdivisions=2)
    torn = mesh.vertices[mesh.faces].reshape(-1, 3)  # every triangle has its own vertices
    normals = smooth_normals(torn, np.arange(len(torn)).reshape(-1, 3))
    assert (normals * torn).sum(1).min() > 0.99


@pytest.mark.parametrize(
    ("vertices", "faces", "message"),
    [
        (np.zeros((3, 3)), np.zeros((0, 3)), "no triangles"),
        ([[0, 0, 0], [1, 0, 0], [0, np.nan, 0]], [[0, 1, 2]], "not finite"),
        ([[0, 0, 0], [1, 0, 0], [2, 0, 0]], [[0, 1, 2]], "no area"),
        ([[1, 1, 1]] * 3, [[0, 1, 2]], "no area"),
        (np.eye(3), [[0, 1, 7]], "does not exist"),
    ],
)
def test_meshes_that_cannot_be_drawn_are_refused_with_the_reason(vertices, faces, message):
    vertices, faces = np.asarray(vertices, np.float64), np.asarray(faces, np.int32)
    mesh = make_mesh(vertices, faces, normals=np.zeros((len(vertices), 3)))
    with pytest.raises(DataError, match=message):
        check_mesh(mesh, "asset")
