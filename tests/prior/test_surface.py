import numpy as np
import torch

from mousefacelift.core.camera_tensors import CameraTensors
from mousefacelift.core.cameras import canonical_fxfycxcy, orbit
from mousefacelift.core.images import mask_iou
from mousefacelift.core.render import render
from mousefacelift.prior.individuals import draw_individual
from mousefacelift.prior.paint import make_pose, paint_square, turn_z
from mousefacelift.prior.surface import make_gaussians, neighbour_mean, quaternions, shape_disks
from mousefacelift.prior.template import build_template


def test_quaternions_turn_axes_as_the_matrices_do():
    matrices = torch.linalg.qr(torch.randn(50, 3, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0)))[
        0
    ]
    matrices = matrices * torch.det(matrices)[:, None, None]
    w, x, y, z = quaternions(matrices).unbind(-1)
    again = torch.stack(
        [
            1 - 2 * (y * y + z * z),
            2 * (x * y - w * z),
            2 * (x * z + w * y),
            2 * (x * y + w * z),
            1 - 2 * (x * x + z * z),
            2 * (y * z - w * x),
            2 * (x * z - w * y),
            2 * (y * z + w * x),
            1 - 2 * (x * x + y * y),
        ],
        -1,
    ).view(-1, 3, 3)
    torch.testing.assert_close(again, matrices)


def test_disks_lie_in_the_surface():
    y, x = torch.meshgrid(torch.arange(7.0), torch.arange(7.0), indexing="ij")
    points = torch.stack([x.flatten(), y.flatten(), torch.zeros(49)], -1)
    near = torch.cdist(points, points).argsort(1)[:, 1:7]
    disks = shape_disks(points, near, torch.zeros(49, dtype=torch.long))
    quats, scales = disks.quats, disks.scales
    w, x, y, z = quats.unbind(-1)
    first_axis = torch.stack([1 - 2 * (y * y + z * z), 2 * (x * y + w * z), 2 * (x * z - w * y)], -1)
    torch.testing.assert_close(first_axis[:, 2].abs(), torch.ones(49))  # the thin axis is the normal
    assert (scales[:, 0] < 0.2 * scales[:, 1]).all()


def test_true_points_render_to_the_painted_animal():
    template = build_template()
    pose = make_pose(draw_individual(21, 1500), 0, template)
    scale = 2.7 / 350
    camera = orbit(35, 25, 350, canonical_fxfycxcy(128) * [2.4, 2.4, 1, 1], 128, 128, target=pose.origin)
    truth = paint_square(pose.scene, camera)
    points = torch.from_numpy(turn_z(pose.points, pose.heading) * scale).float()
    own = orbit(35, 25, 2.7, camera.fxfycxcy, 128, 128)
    gaussians = make_gaussians(
        points,
        torch.from_numpy(pose.colours).float(),
        torch.from_numpy(template.neighbours),
        torch.from_numpy(template.group),
        2.7 / own.fxfycxcy[0],
    )
    shown = render(gaussians, CameraTensors.from_cameras([own]))
    alpha = shown.alpha[0].numpy()
    assert mask_iou(alpha > 0.5, truth[..., 3] > 0.5) > 0.88
    assert 0.93 < alpha.sum() / truth[..., 3].sum() < 1.1
    both = (alpha > 0.9) & (truth[..., 3] > 0.9)
    assert np.abs(shown.rgb[0].numpy() - truth[..., :3])[both].mean() < 0.08


def test_disks_are_those_of_the_eigenvectors_of_the_neighbours_moments():
    """Same ellipsoids and normals as LAPACK gives, for two shapes at once, of points in a plane and in space."""
    template = build_template()
    near, group = torch.from_numpy(template.neighbours), torch.from_numpy(template.group)
    shapes = [make_pose(draw_individual(k, 1500), 0, template).points for k in (3, 21)]
    points = torch.from_numpy(np.stack(shapes) / 350).float()
    disks = shape_disks(points, near, group)
    offsets = (points[:, near] - points[:, :, None]).double()
    values, axes = torch.linalg.eigh(torch.einsum("hnki,hnkj->hnij", offsets, offsets) / near.shape[1])
    normal = axes[..., 0]
    turn = (normal * torch.linalg.cross(offsets[:, :, 0], offsets[:, :, 1])).sum(-1)
    clear = (values[..., 1] - values[..., 0] > 0.05 * values[..., 2]) & (turn.abs() > 1e-3 * values[..., 1])
    assert clear.float().mean() > 0.9
    normal = normal * turn.sign()[..., None]
    torch.testing.assert_close(disks.normals[clear].double(), normal[clear], atol=2e-3, rtol=0)
    torch.testing.assert_close(disks.room.double(), 0.8 * values[..., 1].clamp_min(1e-12).sqrt(), atol=1e-5, rtol=1e-3)
    w, x, y, z = disks.quats.double().unbind(-1)
    third = torch.stack([2 * (x * z + w * y), 2 * (y * z - w * x), 1 - 2 * (x * x + y * y)], -1)
    apart = clear & (values[..., 2] > 1.2 * values[..., 1])
    along = (third * axes[..., 2]).sum(-1).abs()
    assert along[apart].min() > 0.999


def test_the_mean_of_neighbours_and_its_gradient_are_the_plain_ones():
    torch.manual_seed(0)
    near = torch.randint(30, (30, 6))
    points = torch.randn(2, 30, 3, dtype=torch.float64, requires_grad=True)
    torch.testing.assert_close(neighbour_mean(points, near), points[:, near].mean(2))
    weight = torch.randn(2, 30, 3, dtype=torch.float64)
    (got,) = torch.autograd.grad((neighbour_mean(points, near) * weight).sum(), points)
    (want,) = torch.autograd.grad((points[:, near].mean(2) * weight).sum(), points)
    torch.testing.assert_close(got, want)
