"""Small meshes with known answers, for the tests of the objects stage."""

import numpy as np

from mousefacelift.objects.mesh import Material, join_parts, make_mesh


def square(half=0.5, z=0.0, material=None, uv=True):
    """A square facing +z, centre (0, 0, z)."""
    material = Material(base=(1.0, 1.0, 1.0, 1.0)) if material is None else material
    vertices = np.array([[-half, -half, z], [half, -half, z], [half, half, z], [-half, half, z]])
    coordinates = np.array([[0, 0], [1, 0], [1, 1], [0, 1.0]]) if uv else None
    return make_mesh(vertices, [[0, 1, 2], [0, 2, 3]], uv=coordinates, materials=[material])


def join(*meshes):
    """Several one-material meshes as one."""
    parts = [
        dict(vertices=m.vertices, faces=m.faces, normals=m.normals, uv=m.uv, colors=m.colors, material=m.materials[0])
        for m in meshes
    ]
    return join_parts(parts, np.eye(3))


def sphere(center=(0, 0, 0), radius=1.0, subdivisions=3):
    """An icosphere."""
    import trimesh

    ball = trimesh.creation.icosphere(subdivisions=subdivisions, radius=radius)
    return make_mesh(np.asarray(ball.vertices) + center, ball.faces, materials=[Material(base=(1.0, 1.0, 1.0, 1.0))])


def triangle_soup(rng, count=30):
    """Random triangles inside the unit ball."""
    vertices = rng.uniform(-0.55, 0.55, (3 * count, 3))
    colors = np.concatenate([np.repeat(rng.uniform(0, 1, (count, 3)), 3, axis=0), np.ones((3 * count, 1))], axis=1)
    return make_mesh(
        vertices,
        np.arange(3 * count).reshape(-1, 3),
        normals="flat",
        colors=colors,
        materials=[Material(base=(1.0, 1.0, 1.0, 1.0))],
    )
