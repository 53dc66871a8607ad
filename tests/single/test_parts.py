"""Where the parts of a mouse are."""

import numpy as np
import pytest

from mousefacelift.core.cameras import canonical_fxfycxcy, orbit
from mousefacelift.single.parts import NONE, PARTS, _part_of, label_views, part_labels, seen_vertices
from mousefacelift.virtual.anatomy import Animal
from mousefacelift.virtual.mesh import build_mouse

BOX = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], float)
FACES = np.array(
    [
        (0, 1, 3),
        (0, 3, 2),
        (4, 7, 5),
        (4, 6, 7),
        (0, 4, 5),
        (0, 5, 1),
        (2, 3, 7),
        (2, 7, 6),
        (0, 2, 6),
        (0, 6, 4),
        (1, 5, 7),
        (1, 7, 3),
    ]
)


@pytest.mark.parametrize(
    "joint,part",
    [
        ("tail_3", "tail"),
        ("tail_9_end", "tail"),
        ("left_ear", "ears"),
        ("ear_tip_r", "ears"),
        ("right_ankle", "limbs"),
        ("hind_paw_digit_2a_r", "limbs"),
        ("ulna_l", "limbs"),
        ("left_hip", "trunk"),
        ("femur_l", "trunk"),
        ("head", "trunk"),
        ("thoracic_vertebrae_1", "trunk"),
    ],
)
def test_joints_of_both_body_models_are_sorted_into_parts(joint, part):
    assert PARTS[_part_of(joint)] == part


def test_every_part_of_the_procedural_mouse_has_vertices_in_its_place():
    mesh = build_mouse(Animal())
    labels = part_labels(mesh)
    places = [mesh.vertices[labels == part] for part in range(4)]
    assert min(map(len, places)) > 100
    assert places[1][:, 0].max() < -25 and places[2][:, 2].min() > 20 and places[3][:, 2].max() < 20


def two_boxes(second):
    """A big box and a small one at `second`, as vertices, faces and labels 0 and 1."""
    vertices = np.concatenate([0.3 * BOX, 0.1 * BOX + second])
    return vertices, np.concatenate([FACES, FACES + 8]), np.repeat(np.array([0, 1], np.uint8), 8)


def test_a_part_owns_only_the_pixels_that_no_other_part_covers():
    camera = orbit(
        0.0, 0.0, 2.7, canonical_fxfycxcy(64), 64, 64
    )  # from +x: y is to the right, the left of the picture is -y
    beside, behind = (label_views(*two_boxes(place), [camera])[0] for place in ([0, 0.6, 0.0], [-0.6, 0, 0]))
    assert (beside == 1).sum() > 20 and (beside == 0).sum() > 200 and (beside == NONE).sum() > 3000
    assert (behind == 1).sum() == 0  # hidden
    assert (behind == 0).sum() < (beside == 0).sum()  # what both cover belongs to none alone


def test_vertices_that_no_camera_sees_are_told():
    vertices, faces, _ = two_boxes([-0.6, 0, 0])
    front = orbit(0.0, 10.0, 2.7, canonical_fxfycxcy(128), 128, 128)
    seen = seen_vertices(vertices, faces, [front])
    assert seen[4:8].all() and not seen[8:].any()
    around = [orbit(a, 10.0, 2.7, canonical_fxfycxcy(128), 128, 128) for a in (0, 90, 180, 270)]
    assert seen_vertices(vertices, faces, around)[8:].sum() >= 4
