"""Polygons as triangles: what they leave out stays empty."""

import numpy as np
import pytest

from mousefacelift.objects.formats.polygons import split_polygons


def areas(places, faces):
    """Signed area of each triangle in the plane z = 0."""
    a, b, c = np.moveaxis(places[faces], 1, 0)
    return np.cross(b - a, c - a)[:, 2] / 2


def shoelace(places):
    x, y = places[:, 0], places[:, 1]
    return (x * np.roll(y, -1) - np.roll(x, -1) * y).sum() / 2


def star(points: int, turn: int = 0):
    """A star whose inner corners are dents."""
    angle = 2 * np.pi * np.arange(2 * points) / (2 * points)
    radius = np.where(np.arange(2 * points) % 2, 0.3, 1.0)
    return np.roll(np.stack([radius * np.cos(angle), radius * np.sin(angle), np.zeros(2 * points)], -1), turn, axis=0)


def ring(count: int):
    """An outline and a hole as one polygon: out along the rim, in by a cut, back along the hole, out by the cut."""
    angle = 2 * np.pi * np.arange(count + 1) / count
    circle = np.stack([np.cos(angle), np.sin(angle), np.zeros(count + 1)], -1)
    return np.concatenate([circle, 0.8 * circle[::-1]])


@pytest.mark.parametrize("turn", range(4))
@pytest.mark.parametrize("shape", [star(5), star(11), ring(12), ring(40), star(2)])
def test_a_dented_polygon_covers_its_own_area_once(shape, turn):
    places = np.roll(shape, turn, axis=0)
    faces, owner = split_polygons(np.array([len(places)]), np.array([7]), places)
    assert len(faces) == len(places) - 2 and (owner == 7).all()
    assert areas(places, faces).min() > -1e-12
    assert areas(places, faces).sum() == pytest.approx(shoelace(places))


def test_a_fan_would_cover_what_a_ring_leaves_out():
    places = ring(12)
    fan = np.array([[0, k, k + 1] for k in range(1, len(places) - 1)])
    assert np.abs(areas(places, fan)).sum() > 2 * shoelace(places)


def test_convex_polygons_are_fans_in_their_order_and_dented_ones_keep_their_place():
    square = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0.0]])
    dart = np.array([[0, 0, 0], [1, -1, 0], [0.2, 0, 0], [1, 1, 0.0]])[[1, 2, 3, 0]]
    places = np.concatenate([square, dart, square[:3], square])
    faces, owner = split_polygons(np.array([4, 4, 3, 4]), np.array([0, 1, 2, 0]), places)
    assert owner.tolist() == [0, 0, 1, 1, 2, 0, 0]
    assert faces[[0, 1, 4, 5, 6]].tolist() == [[0, 1, 2], [0, 2, 3], [8, 9, 10], [11, 12, 13], [11, 13, 14]]
    assert areas(places, faces[2:4]).sum() == pytest.approx(shoelace(dart))


def test_a_polygon_that_crosses_itself_ends_and_points_and_edges_are_no_faces():
    crossed = np.array([[0, 0, 0], [1, 1, 0], [1, 0, 0], [0, 1, 0], [0.5, 2, 0.0]])
    assert len(split_polygons(np.array([5]), np.array([0]), crossed)[0]) == 3
    assert len(split_polygons(np.array([1, 2]), np.array([0, 0]), crossed[:3])[0]) == 0
    assert len(split_polygons(np.array([4]), np.array([0]), np.zeros((4, 3)))[0]) == 2
