import numpy as np

from mousefacelift.prior.model import SHIPPED, load_prior
from mousefacelift.prior.template import GROUPS, build_template
from mousefacelift.virtual.anatomy import Animal
from mousefacelift.virtual.mesh import build_mouse


def test_the_mirror_map_is_its_own_inverse_and_swaps_left_and_right():
    template = build_template()
    points = build_mouse(Animal()).vertices[template.vertices]
    assert (template.mirror[template.mirror] == np.arange(len(points))).all()
    off = np.linalg.norm(points[template.mirror] * [1, -1, 1] - points, axis=1)  # mm; toes are not on a common grid
    assert off.mean() < 0.15 and off.max() < 2.5


def test_thin_parts_have_points_and_neighbours_belong_to_the_same_part():
    template = build_template()
    counts = np.bincount(template.group, minlength=len(GROUPS))
    assert (
        counts[GROUPS.index("tail")] >= 200
        and counts[GROUPS.index("ears")] >= 150
        and counts[GROUPS.index("limbs")] >= 500
    )
    assert (template.group[template.neighbours] == template.group[:, None]).all()
    assert (template.neighbours != np.arange(len(template.group))[:, None]).all()


def test_the_shipped_weights_belong_to_this_template():
    shipped, template = load_prior(), build_template()
    for name in ("group", "mirror", "neighbours"):
        np.testing.assert_array_equal(getattr(shipped, name).numpy(), getattr(template, name))
    assert SHIPPED.stat().st_size <= 20_000_000
