import numpy as np
import torch

from mousefacelift.core.camera_tensors import CameraTensors
from mousefacelift.core.cameras import canonical_fxfycxcy, orbit
from mousefacelift.core.images import mask_iou
from mousefacelift.core.render import render
from mousefacelift.prior.individuals import draw_individual
from mousefacelift.prior.paint import make_pose, paint_square, turn_z
from mousefacelift.prior.surface import make_gaussians, quaternions, shape_disks
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
