"""The similarity that lays a reconstruction of an unknown world onto the true cameras: turn, shift and scale.

Starts come from the visual hull of the true silhouettes: the splat's centre and size go onto the hull's, and its axes
onto the hull's axes and onto the world's in every right-handed way. All starts are rendered and compared, the best go
down by gradient in three rounds of growing picture size. Colours decide what silhouettes cannot (head or tail, left or
right). Nothing is mirrored: a mirrored animal is a wrong answer and stays one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy.spatial.transform import Rotation
from torch import Tensor

from mousefacelift.check.align import seen_as
from mousefacelift.core.camera_tensors import CameraTensors
from mousefacelift.core.gaussians import Gaussians, multiply_quats
from mousefacelift.core.hull import carve_hull_tight
from mousefacelift.core.images import premultiply, resize_rgba
from mousefacelift.core.render import published_render, render, render_pictures
from mousefacelift.core.samples import View
from mousefacelift.core.similarity import Similarity
from mousefacelift.errors import DataError

VIEWS = 8  # true views at most that are compared
SEEN = 0.05  # opacity from which a Gaussian counts for centre and size
HULL_RESOLUTION, HALF_EXTENT = 48, 1.0


@dataclass(frozen=True)
class Round:
    """`keep` best candidates go down `steps` steps at `size` px with at most `drawn` Gaussians; `rate` of radians,
    units and logarithm of scale."""

    keep: int
    size: int
    steps: int
    rate: float
    drawn: int


ROUNDS = (Round(8, 32, 30, 0.05, 2500), Round(3, 64, 30, 0.02, 2500), Round(1, 128, 40, 0.006, 20_000))


@dataclass(frozen=True)
class Alignment:
    """Where a reconstruction lies.

    Args:
        move: from its own world to that of the true cameras. loss: mean squared error of premultiplied colours and
            alpha over the compared views afterwards; unaligned: the same as it came.
    """

    move: Similarity
    loss: float
    unaligned: float

    def facts(self) -> dict[str, float]:
        """What the alignment did: turn in degrees, shift in world units, scale; loss before and after."""
        turn = np.degrees(Rotation.from_matrix(self.move.rotation).magnitude())
        return {
            "turn": float(turn),
            "shift": float(np.linalg.norm(self.move.translation)),
            "scale": float(self.move.scale),
            "loss": self.loss,
            "loss_unaligned": self.unaligned,
        }


def find_similarity(gaussians: Gaussians, truth: Sequence[View]) -> Alignment:
    """The best similarity of Gaussians [N] to true views of one moment (all of one size).

    Raises:
        DataError: nothing visible in the reconstruction, or true silhouettes that leave no body.
    """
    views = [truth[int(i)] for i in np.unique(np.linspace(0, len(truth) - 1, min(VIEWS, len(truth))).round())]
    visible = gaussians.opacities > SEEN
    if not bool(visible.any()):
        raise DataError("the reconstruction shows nothing", got="no Gaussian with an opacity above 0.05")
    normal = _normaliser(gaussians.means[visible].double().numpy())
    unit = move_gaussians(plain(gaussians), normal)
    hull = carve_hull_tight(
        [v.rgba[..., 3] for v in views], [v.camera for v in views], np.zeros(3), HALF_EXTENT, HULL_RESOLUTION
    ).points()
    if not len(hull):
        raise DataError("the true silhouettes leave no body to lay the reconstruction on")
    moves = _starts(unit.means[visible].double().numpy(), hull)
    for step in ROUNDS:
        small = _thin(unit, step.drawn)
        size = min(step.size, views[0].camera.width)
        pictures, cameras = _compared(views, size)
        moves = _best(small, moves, pictures, cameras, step.keep)
        moves = _descend(small, moves, pictures, cameras, step)
    best = normal.then(moves[0])
    pictures, cameras = _compared(views, views[0].camera.width)
    losses = [_loss_of(gaussians, move, views) for move in (best, Similarity())]
    return Alignment(best, *losses)


def render_moved(gaussians: Gaussians, move: Similarity, views: Sequence[View]) -> np.ndarray:
    """rgba [V, H, W, 4] of Gaussians after `move`, from the cameras of the views; colours that depend on the direction
    turn with them, and no size of the foreign world is too small or too large for the renderer."""
    size = Similarity(scale=move.scale)
    rest = Similarity(1.0, move.rotation, move.translation)  # turned by moving the cameras, so that sh stays as it is
    scaled = replace(gaussians, means=gaussians.means * size.scale, scales=gaussians.scales * size.scale)
    return render_pictures(scaled, [seen_as(view.camera, rest) for view in views])


def plain(gaussians: Gaussians) -> Gaussians:
    """The Gaussians on the CPU, float, with the colour of their mean direction only."""
    return replace(gaussians, sh=gaussians.sh[:, :1]).map(lambda tensor: tensor.detach().cpu().float())


def move_gaussians(gaussians: Gaussians, move: Similarity) -> Gaussians:
    """Gaussians of constant colour after a similarity."""
    rotation = torch.from_numpy(move.rotation).float()
    quat = torch.from_numpy(np.roll(Rotation.from_matrix(move.rotation).as_quat(), 1)).float()
    shift = torch.from_numpy(move.translation).float()
    return replace(
        gaussians,
        means=move.scale * gaussians.means @ rotation.T + shift,
        quats=multiply_quats(quat, gaussians.quats),
        scales=move.scale * gaussians.scales,
    )


def _normaliser(points: np.ndarray) -> Similarity:
    """The similarity that brings points to mean 0 and RMS radius 1; robust to a tenth of far strays."""
    center = np.median(points, axis=0)
    away = np.linalg.norm(points - center, axis=1)
    kept = points[away <= np.quantile(away, 0.9)]
    center = kept.mean(0)
    radius = max(float(np.sqrt(((kept - center) ** 2).sum(1).mean())), 1e-12)
    return Similarity(1 / radius, np.eye(3), -center / radius)


def _starts(points: np.ndarray, hull: np.ndarray) -> list[Similarity]:
    """Similarities of a unit splat onto the hull: axes on axes, and every turn of the world's axes."""
    target = _normaliser(hull).inverse()
    own, true = (_axes(p) for p in (points, hull))
    cube = Rotation.create_group("O").as_matrix()
    turns = [true @ turn @ own.T for turn in cube]
    return [Similarity(target.scale, turn, target.translation) for turn in [*turns, *cube]]


def _axes(points: np.ndarray) -> np.ndarray:
    """Right-handed principal axes of points, as columns."""
    axes = np.linalg.eigh(np.cov(points.T))[1]
    return axes * np.sign(np.linalg.det(axes))


def _thin(gaussians: Gaussians, count: int) -> Gaussians:
    """The `count` Gaussians that cover most, grown so that they cover as much as all: a sparse body looks smaller."""
    area = gaussians.opacities * gaussians.scales.sort(-1).values[:, 1:].prod(-1)
    chosen = torch.argsort(area, descending=True)[:count]
    kept = gaussians.select(chosen)
    return replace(kept, scales=kept.scales * (area.sum() / area[chosen].sum().clamp_min(1e-12)).sqrt())


def _compared(views: Sequence[View], size: int) -> tuple[Tensor, CameraTensors]:
    """Premultiplied pictures [V, S, S, 4] and cameras at `size` px."""
    pictures = np.stack([premultiply(resize_rgba(view.rgba, size, size)) for view in views]).astype(np.float32)
    return torch.from_numpy(pictures), CameraTensors.from_cameras([v.camera.scaled_to(size, size) for v in views])


def _loss_of(gaussians: Gaussians, move: Similarity, views: Sequence[View]) -> float:
    shown = premultiply(render_moved(gaussians, move, views))
    true = np.stack([premultiply(view.rgba) for view in views])
    return float(((shown - true) ** 2).sum(-1).mean())


class _Moves:
    """Leaves of the descent for C candidates: rotation vectors, shifts and logarithms of scale beside their starts."""

    def __init__(self, moves: Sequence[Similarity]) -> None:
        self.quats = torch.from_numpy(
            np.stack([np.roll(Rotation.from_matrix(m.rotation).as_quat(), 1) for m in moves])
        ).float()
        self.turn = torch.zeros(len(moves), 3, requires_grad=True)
        self.shift = torch.from_numpy(np.stack([m.translation for m in moves])).float().requires_grad_(True)
        self.log_scale = torch.tensor([float(np.log(m.scale)) for m in moves]).requires_grad_(True)

    def apply(self, gaussians: Gaussians) -> Gaussians:
        """Gaussians [C, N] under every candidate."""
        delta = torch.cat([torch.ones(len(self.turn), 1), self.turn / 2], 1)
        quats = torch.nn.functional.normalize(multiply_quats(delta, self.quats), dim=-1)
        rotation, scale = _matrices(quats), self.log_scale.exp()[:, None, None]
        count = len(quats)

        def many(tensor: Tensor) -> Tensor:
            return tensor.expand(count, *tensor.shape)

        return Gaussians(
            scale * gaussians.means @ rotation.transpose(1, 2) + self.shift[:, None],
            multiply_quats(quats[:, None], many(gaussians.quats)),
            scale * many(gaussians.scales),
            many(gaussians.opacities),
            many(gaussians.sh),
        )

    def similarities(self) -> list[Similarity]:
        delta = torch.cat([torch.ones(len(self.turn), 1), self.turn / 2], 1)
        quats = torch.nn.functional.normalize(multiply_quats(delta, self.quats), dim=-1).detach().double().numpy()
        turns = Rotation.from_quat(np.roll(quats, -1, axis=1)).as_matrix()
        scales, shifts = self.log_scale.detach().exp().tolist(), self.shift.detach().double().numpy()
        return [Similarity(*parts) for parts in zip(scales, turns, shifts)]


def _matrices(q: Tensor) -> Tensor:
    """Rotation matrices [..., 3, 3] of unit quaternions wxyz [..., 4]."""
    w, x, y, z = q.unbind(-1)
    rows = [
        1 - 2 * (y * y + z * z),
        2 * (x * y - w * z),
        2 * (x * z + w * y),
        2 * (x * y + w * z),
        1 - 2 * (x * x + z * z),
        2 * (y * z - w * x),
        2 * (x * z - w * y),
        2 * (y * z + w * x),
        1 - 2 * (x * x + y * y),
    ]
    return torch.stack(rows, -1).unflatten(-1, (3, 3))


def _losses(gaussians: Gaussians, moves: _Moves, pictures: Tensor, cameras: CameraTensors) -> Tensor:
    """[C] error of every candidate over all views."""
    count = len(moves.turn)
    many = replace(cameras, w2c=cameras.w2c.expand(count, -1, -1, -1), fxfycxcy=cameras.fxfycxcy.expand(count, -1, -1))
    shown = render(moves.apply(gaussians), many, published_render("cpu"))
    alpha = (shown.alpha - pictures[..., 3]).square()
    return (alpha + (shown.rgb - pictures[..., :3]).square().sum(-1)).mean((1, 2, 3))


@torch.no_grad()
def _best(
    gaussians: Gaussians, moves: list[Similarity], pictures: Tensor, cameras: CameraTensors, keep: int
) -> list[Similarity]:
    """The `keep` candidates with the least error, best first."""
    losses = torch.cat([_losses(gaussians, _Moves([move]), pictures, cameras) for move in moves])
    return [moves[int(i)] for i in losses.argsort()[:keep]]


def _descend(
    gaussians: Gaussians, moves: list[Similarity], pictures: Tensor, cameras: CameraTensors, step: Round
) -> list[Similarity]:
    """The candidates after gradient steps, best first; a step that made one worse is not kept."""
    state = _Moves(moves)
    optimiser = torch.optim.Adam([state.turn, state.shift, state.log_scale], lr=step.rate, betas=(0.8, 0.95))
    least, found = [float("inf")] * len(moves), list(moves)
    for count in range(step.steps + 1):
        losses = _losses(gaussians, state, pictures, cameras)
        for place, (loss, move) in enumerate(zip(losses.tolist(), state.similarities())):
            if loss < least[place]:
                least[place], found[place] = loss, move
        if count == step.steps:
            break
        optimiser.zero_grad(set_to_none=True)
        losses.sum().backward()
        for group in optimiser.param_groups:
            group["lr"] = step.rate * (1 - 0.9 * count / step.steps)
        optimiser.step()
    return [found[int(i)] for i in np.argsort(least)]
