"""Render-and-compare: turn, scale, shift and colour gain (and, of an unknown camera, elevation) that make a splat
explain a picture.

A similarity of the splat is a change of the camera: x_cam = R (s Rz x + d) + t shows the same picture as
x_cam = R Rz x + (R d + t) / s. So candidates cost renders of one unmoved splat from several cameras, and the Jacobian
of a damped Gauss-Newton step is finite differences of one batch of renders.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
import torch

from mousefacelift.core.camera_tensors import CameraTensors
from mousefacelift.core.cameras import Camera, azimuth_elevation, circular_difference
from mousefacelift.core.gaussians import SH_C0, Gaussians
from mousefacelift.core.images import mask_bbox, mask_iou, premultiply
from mousefacelift.core.render import published_render, render
from mousefacelift.errors import DataError

SIZE = 64  # pixels of the crop in which pictures are compared
MARGIN = 1.45  # edge of the crop over the longer side of the animal's box
BLUR = 1.2  # pixels, standard deviation: lets renders that do not touch yet feel each other
COLOUR_WEIGHT = 0.4  # of premultiplied colour beside alpha
STEPS = np.array([2.0, 0.02, 0.01, 0.01, 2.0])  # finite differences of turn, log scale, shifts, elevation
TRUST = np.array([10.0, 0.12, 0.06, 0.06, 8.0])  # largest change in one Gauss-Newton step
GUESSES = (-24.0, -12.0, 0.0, 12.0, 24.0)  # degrees of turn about the library view's own that are tried first
GAINS = (0.2, 5.0)  # smallest and largest colour gain


@dataclass(frozen=True)
class Fit:
    """How a splat must be moved to explain a picture.

    Args:
        turn: degrees about +z. scale: factor. shift: [2] world units, right and down as the camera sees them.
        tilt: degrees by which the camera is higher than assumed. gain: [3] factor on red, green and blue.
        residual: root mean square difference from the picture over what either shows, 0 to about 1.
        iou: of the silhouettes in the crop.
    """

    turn: float
    scale: float
    shift: tuple[float, float]
    tilt: float
    gain: tuple[float, float, float]
    residual: float
    iou: float


class Target:
    """A picture to explain: its crop, blurred, and the camera of the crop."""

    def __init__(self, rgba: np.ndarray, camera: Camera) -> None:
        self.camera = crop_camera(rgba[..., 3] > 0.5, camera, SIZE)
        self.image = _blurred(crop_picture(premultiply(rgba), camera, self.camera)[None])[0]
        self.foreground = self.image[..., 3] > 0.02

    def render(self, gaussians: Gaussians, parameters: np.ndarray) -> np.ndarray:
        """Premultiplied rgba [K, S, S, 4] of the splat moved by K rows of (turn, log scale, shift, shift, tilt)."""
        w2c = torch.from_numpy(moved_poses(self.camera, parameters)).float()
        lens = torch.tensor(self.camera.fxfycxcy, dtype=torch.float32).expand(len(w2c), 4)
        cameras = CameraTensors(w2c, lens, self.camera.width, self.camera.height)
        with torch.no_grad():
            out = render(gaussians, cameras, published_render(gaussians.means.device), torch.zeros(3))
        return _blurred(torch.cat([out.rgb, out.alpha[..., None]], -1).clamp(0, 1).numpy())

    def gain(self, image: np.ndarray) -> np.ndarray:
        """[3] least-squares factor from the colours of a render [S, S, 4] to the picture's, where both show the
        animal."""
        both = (image[..., 3] > 0.5) & (self.image[..., 3] > 0.5)
        if not both.any():
            return np.ones(3)
        drawn, seen = image[both][:, :3], self.image[both][:, :3]
        return np.clip((drawn * seen).sum(0) / np.maximum((drawn * drawn).sum(0), 1e-6), *GAINS)

    def residuals(self, images: np.ndarray, gain: np.ndarray) -> np.ndarray:
        """[K, S * S * 4] weighted differences of renders [K, S, S, 4] from the picture."""
        weights = np.array([COLOUR_WEIGHT] * 3 + [1.0], np.float32)
        difference = (images * np.append(gain, 1.0).astype(np.float32) - self.image) * weights
        return difference.reshape(len(images), -1)

    def error(self, image: np.ndarray, gain: np.ndarray) -> float:
        """Root mean square residual over the pixels that the picture or the render shows."""
        shown = self.foreground | (image[..., 3] > 0.02)
        square = self.residuals(image[None], gain).reshape(-1, 4)[shown.ravel()] ** 2
        return float(np.sqrt(square.sum(-1).mean()))


def moved_camera(camera: Camera, turn: float, log_scale: float, right: float, down: float, tilt: float) -> Camera:
    """The camera that sees the unmoved splat as `camera`, raised by `tilt` degrees, sees the moved one."""
    return replace(camera, w2c=moved_poses(camera, np.array([[turn, log_scale, right, down, tilt]]))[0])


def moved_poses(camera: Camera, parameters: np.ndarray) -> np.ndarray:
    """w2c [K, 4, 4] of `moved_camera` for K rows of (turn, log scale, right, down, tilt)."""
    turn, log_scale, right, down, tilt = np.asarray(parameters, np.float64).T
    about_z = np.zeros((len(turn), 3, 3))
    about_z[:, 0, 0] = about_z[:, 1, 1] = np.cos(np.radians(turn))
    about_z[:, 1, 0] = np.sin(np.radians(turn))
    about_z[:, 0, 1] = -about_z[:, 1, 0]
    about_z[:, 2, 2] = 1
    w2c = np.tile(np.eye(4), (len(turn), 1, 1))
    w2c[:, :3, :3] = _raise(np.radians(tilt)) @ camera.R @ about_z
    w2c[:, :3, 3] = (camera.t + np.stack([right, down, np.zeros_like(right)], -1)) / np.exp(log_scale)[:, None]
    return w2c


def _raise(angle: np.ndarray | float) -> np.ndarray:
    """Rotations [..., 3, 3] of the scene about the camera's x axis that show it from `angle` [...] radians higher."""
    c, s = np.cos(angle), np.sin(angle)
    one, none = np.ones_like(c), np.zeros_like(c)
    return np.stack([one, none, none, none, c, -s, none, s, c], -1).reshape(*np.shape(c), 3, 3)


def raised_camera(camera: Camera, tilt: float) -> Camera:
    """The camera `tilt` degrees higher on its circle about the origin, looking at it as before."""
    w2c = camera.w2c.copy()
    w2c[:3, :3] = _raise(np.radians(tilt)) @ camera.R
    return replace(camera, w2c=w2c)


def fit_splat(target: Target, gaussians: Gaussians, start: np.ndarray, steps: int, free: Sequence[bool]) -> Fit:
    """The best move of one splat from `start` (turn, log scale, shift, shift, tilt) by damped Gauss-Newton.

    Args:
        free: which of the five parameters may change.
    """
    chosen = np.flatnonzero(free)
    at, damping = start.astype(np.float64), 1e-2
    image = target.render(gaussians, at[None])[0]
    gain = target.gain(image)
    error = target.error(image, gain)
    for _ in range(steps):
        probes = np.repeat(at[None], len(chosen), 0)
        probes[np.arange(len(chosen)), chosen] += STEPS[chosen]
        images = target.render(gaussians, probes)
        base = target.residuals(image[None], gain)[0]
        jacobian = (target.residuals(images, gain) - base).T  # per STEPS of each parameter
        normal, slope = jacobian.T @ jacobian, jacobian.T @ base
        change = np.linalg.solve(normal + damping * np.diag(np.diag(normal) + 1e-6), -slope) * STEPS[chosen]
        tried = at.copy()
        tried[chosen] += np.clip(change, -TRUST[chosen], TRUST[chosen])
        new_image = target.render(gaussians, tried[None])[0]
        new_gain = target.gain(new_image)
        new_error = target.error(new_image, new_gain)
        if new_error < error:
            is_done = error - new_error < 1e-3 * error
            at, image, gain, error, damping = tried, new_image, new_gain, new_error, damping * 0.3
            if is_done:
                break
        else:
            damping *= 10
            if damping > 1e4:
                break
    overlap = mask_iou(image[..., 3] > 0.5, target.image[..., 3] > 0.5)
    turn, log_scale, right, down, tilt = (float(value) for value in at)
    return Fit(turn, float(np.exp(log_scale)), (right, down), tilt, tuple(float(g) for g in gain), error, overlap)


def first_guess(
    target: Target, gaussians: Gaussians, turns: Sequence[float], tilts: Sequence[float]
) -> tuple[np.ndarray, float]:
    """The best of a grid of turns and tilts (degrees), placed and sized by the silhouettes' moments, and its error."""
    rows = np.array([[turn, 0.0, 0.0, 0.0, tilt] for tilt in tilts for turn in turns])
    images = target.render(gaussians, rows)
    for row, image in zip(rows, images, strict=True):
        row[1:4] = _placing(target, image)
    images = target.render(gaussians, rows)
    errors = [target.error(image, target.gain(image)) for image in images]
    best = int(np.argmin(errors))
    return rows[best], errors[best]


def _placing(target: Target, image: np.ndarray) -> tuple[float, float, float]:
    """(log scale, shift right, shift down) that bring the centre and area of a render's alpha to the picture's."""
    if image[..., 3].sum() < 1:
        return 0.0, 0.0, 0.0
    (area, x, y), (wanted, wanted_x, wanted_y) = (_moments(a[..., 3]) for a in (image, target.image))
    log_scale = float(np.clip(0.5 * np.log(wanted / area), -0.4, 0.4))
    camera = target.camera
    center = camera.fxfycxcy[2:] + camera.fxfycxcy[:2] * camera.t[:2] / camera.t[2]  # of the world's origin
    grown = np.exp(log_scale) * (np.array([x, y]) - center) + center
    right, down = (np.array([wanted_x, wanted_y]) - grown) * camera.t[2] / camera.fxfycxcy[:2]
    return log_scale, float(right), float(down)


def _moments(alpha: np.ndarray) -> tuple[float, float, float]:
    ys, xs = np.mgrid[0 : alpha.shape[0], 0 : alpha.shape[1]] + 0.5
    total = float(alpha.sum())
    return total, float((alpha * xs).sum() / total), float((alpha * ys).sum() / total)


def moved_gaussians(gaussians: Gaussians, fit: Fit, camera: Camera) -> Gaussians:
    """The splat moved and coloured by a fit, in the world of `camera` (raised by the fit's tilt).

    Raises:
        DataError: colours that depend on the direction; turning them is not implemented.
    """
    if gaussians.degree:
        raise DataError("a library's splats must have constant colours", got=f"degree {gaussians.degree}", expected=0)
    half = np.radians(fit.turn) / 2
    angle = torch.tensor(np.radians(fit.turn), dtype=torch.float32)
    about_z = torch.tensor(
        [[torch.cos(angle), -torch.sin(angle), 0], [torch.sin(angle), torch.cos(angle), 0], [0, 0, 1.0]]
    )
    eye = raised_camera(camera, fit.tilt)
    shift = torch.from_numpy(eye.R.T @ [*fit.shift, 0.0]).float()
    w, x, y, z = gaussians.quats.unbind(-1)
    c, s = float(np.cos(half)), float(np.sin(half))
    quats = torch.stack([c * w - s * z, c * x - s * y, c * y + s * x, c * z + s * w], -1)
    rgb = (gaussians.sh[:, 0] * SH_C0 + 0.5).clamp(0, 1) * torch.tensor(fit.gain)
    means = fit.scale * gaussians.means @ about_z.T + shift
    return Gaussians.from_rgb(means, quats, gaussians.scales * fit.scale, gaussians.opacities, rgb)


def crop_camera(mask: np.ndarray, camera: Camera, size: int) -> Camera:
    """The camera of a square crop of `size` pixels about the animal: same place and direction, other intrinsics."""
    x0, y0, x1, y1 = mask_bbox(mask)
    edge = MARGIN * max(x1 - x0, y1 - y0, 4)
    scale = size / edge
    left, top = (x0 + x1) / 2 - edge / 2, (y0 + y1) / 2 - edge / 2
    fx, fy, cx, cy = camera.fxfycxcy
    return Camera(camera.w2c, np.array([fx, fy, cx - left, cy - top]) * scale, size, size)


def crop_picture(image: np.ndarray, camera: Camera, crop: Camera) -> np.ndarray:
    """Premultiplied rgba [S, S, 4] of the crop's camera; what lies outside the picture is transparent."""
    scale = crop.fxfycxcy[0] / camera.fxfycxcy[0]
    times = max(1, int(np.ceil(1 / scale)))
    zoom = scale * times
    shift = crop.fxfycxcy[2:] * times - zoom * camera.fxfycxcy[2:] + 0.5 * zoom - 0.5
    matrix = np.array([[zoom, 0, shift[0]], [0, zoom, shift[1]]])
    warped = cv2.warpAffine(image.astype(np.float32), matrix, (crop.width * times,) * 2, flags=cv2.INTER_LINEAR)
    return cv2.resize(warped, (crop.width, crop.height), interpolation=cv2.INTER_AREA) if times > 1 else warped


def _blurred(images: np.ndarray) -> np.ndarray:
    return np.stack([cv2.GaussianBlur(np.ascontiguousarray(image), (0, 0), BLUR) for image in images])


def library_turn(camera: Camera, azimuth: float) -> float:
    """Degrees by which a splat must turn so that `camera` sees what its library's view at `azimuth` shows."""
    return float(circular_difference(azimuth_elevation(camera)[0], azimuth))
