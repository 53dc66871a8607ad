"""Epipolar tangency: two silhouettes of one body are touched by the same epipolar planes.

The planes through the line that joins two optical centres form a pencil; the animal occupies an interval of it, and
both views must see the same interval. No hull, no correspondence and no depth is needed, so thousands of camera
hypotheses can be scored per second. Pairs whose epipole lies in or near a silhouette say nothing and are NaN.
(Frontier points: Cipolla, Astrom and Giblin 1995.)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mousefacelift.core.compiled import compiled

MAX_SPREAD = np.radians(100.0)  # of the pencil; more means that the epipole is next to the silhouette


@dataclass(frozen=True)
class Poses:
    """What tangency needs of V cameras: rotation [V, 3, 3] (w2c), centers [V, 3], focal [V] px, shift [V, 2] on z =
    1."""

    rotation: np.ndarray
    center: np.ndarray
    focal: np.ndarray
    shift: np.ndarray

    @classmethod
    def of(cls, w2c: np.ndarray, focal: np.ndarray) -> Poses:
        """Poses of matrices w2c [V, 4, 4]."""
        w2c = np.asarray(w2c, np.float64)
        rotation = np.ascontiguousarray(w2c[:, :3, :3])
        center = -np.einsum("vji,vj->vi", rotation, w2c[:, :3, 3])
        return cls(rotation, np.ascontiguousarray(center), np.asarray(focal, np.float64), np.zeros((len(w2c), 2)))


@dataclass(frozen=True)
class Pencils:
    """For every frame and ordered pair (i, j): the interval of the pencil about the line i-j that view i sees.

    Attributes:
        ends: [T, V, V, 2] plane angles (radians, reference direction shared by (i, j) and (j, i)); NaN where unknown.
        levers: [T, V, V, 2] pixels that the touched point moves per radian.
    """

    ends: np.ndarray
    levers: np.ndarray


def pencils(outlines: np.ndarray, usable: np.ndarray, poses: Poses, only: int = -1) -> Pencils:
    """Pencil intervals of outlines [T, V, P, 2] (undistorted, z = 1) where usable [T, V]; of all pairs, or of those of
    the view `only`."""
    ends, levers = _pencils(
        np.ascontiguousarray(outlines, np.float64),
        np.ascontiguousarray(usable),
        poses.rotation,
        poses.center,
        poses.focal,
        poses.shift,
        MAX_SPREAD,
        only,
    )
    return Pencils(ends, levers)


def tangency(outlines: np.ndarray, usable: np.ndarray, poses: Poses, only: int = -1) -> np.ndarray:
    """Signed disagreement in pixels of the two tangent planes of every pair of views, [T, V, V, 2] (see `residuals`);
    NaN for pairs without the view `only`, if there is one."""
    return residuals(pencils(outlines, usable, poses, only))


def residuals(found: Pencils) -> np.ndarray:
    """[T, V, V, 2]: interval end of view i minus that of view j, in pixels (mean of both views); [..., 0] the lower
    end.

    Antisymmetric in (i, j); NaN where either view does not know.
    """
    difference = found.ends - np.swapaxes(found.ends, 1, 2)
    difference = (difference + np.pi) % (2 * np.pi) - np.pi
    return difference * 0.5 * (found.levers + np.swapaxes(found.levers, 1, 2))


@compiled()
def _pencils(outlines, usable, rotation, center, focal, shift, max_spread, only):
    frames, views, points = outlines.shape[:3]
    ends = np.full((frames, views, views, 2), np.nan)
    levers = np.full((frames, views, views, 2), np.nan)
    rays = np.empty((points, 3))
    frame_of = _pair_frames(rotation, center)
    for t in range(frames):
        for i in range(views):
            if not usable[t, i]:
                continue
            _world_rays(outlines[t, i], rotation[i], shift[i], rays)
            for j in range(views):
                u, w = frame_of[min(i, j), max(i, j), 0], frame_of[min(i, j), max(i, j), 1]
                if i != j and (only < 0 or i == only or j == only) and _dot(u, u) > 0:
                    _interval(rays, u, w, focal[i], max_spread, ends[t, i, j], levers[t, i, j])
    return ends, levers


@compiled()
def _pair_frames(rotation, center):
    """[V, V, 2, 3] two unit vectors across the baseline of each pair i < j; zeros where the centres coincide."""
    views = len(center)
    out, b = np.zeros((views, views, 2, 3)), np.empty(3)
    for i in range(views):
        for j in range(i + 1, views):
            for k in range(3):
                b[k] = center[j, k] - center[i, k]
            length = np.sqrt(_dot(b, b))
            if length <= 1e-6 * (np.sqrt(_dot(center[i], center[i])) + np.sqrt(_dot(center[j], center[j]))):
                continue
            for k in range(3):
                b[k] /= length
            u, w = out[i, j, 0], out[i, j, 1]
            for row in (2, 1):
                along = _dot(rotation[i, row], b)
                for k in range(3):
                    u[k] = rotation[i, row, k] - b[k] * along
                norm = np.sqrt(_dot(u, u))
                if norm >= 1e-6:
                    break
            for k in range(3):
                u[k] /= norm
            w[0], w[1], w[2] = b[1] * u[2] - b[2] * u[1], b[2] * u[0] - b[0] * u[2], b[0] * u[1] - b[1] * u[0]
    return out


@compiled()
def _dot(a, b):  # array expressions take numba seconds to compile
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


@compiled()
def _world_rays(outline, R, shift, rays):
    for p in range(len(outline)):
        x, y = outline[p, 0] - shift[0], outline[p, 1] - shift[1]
        n = 1.0 / np.sqrt(x * x + y * y + 1.0)
        for k in range(3):
            rays[p, k] = (R[0, k] * x + R[1, k] * y + R[2, k]) * n


@compiled()
def _interval(rays, u, w, focal, max_spread, ends, levers):
    """Smallest and largest plane angle of unit rays, and focal * sin(ray, baseline) at both.

    Angles are compared with the mean ray's by cross products, so that none wraps, and only two arc tangents are taken.
    """
    n = len(rays)
    ma, mc = 0.0, 0.0
    for p in range(n):
        ma += rays[p, 0] * u[0] + rays[p, 1] * u[1] + rays[p, 2] * u[2]
        mc += rays[p, 0] * w[0] + rays[p, 1] * w[1] + rays[p, 2] * w[2]
    m = np.sqrt(ma * ma + mc * mc)
    if m < 1e-12:
        return
    ma, mc = ma / m, mc / m
    low, high, low_lever, high_lever = np.inf, -np.inf, 0.0, 0.0
    for p in range(n):
        a = rays[p, 0] * u[0] + rays[p, 1] * u[1] + rays[p, 2] * u[2]
        c = rays[p, 0] * w[0] + rays[p, 1] * w[1] + rays[p, 2] * w[2]
        x, y = a * ma + c * mc, c * ma - a * mc
        if x <= 1e-6:
            return
        slope = y / x
        if slope < low:
            low, low_lever = slope, np.sqrt(a * a + c * c)
        if slope > high:
            high, high_lever = slope, np.sqrt(a * a + c * c)
    low, high = np.arctan(low), np.arctan(high)
    if high - low > max_spread:
        return
    middle = np.arctan2(mc, ma)
    ends[0], ends[1] = middle + low, middle + high
    levers[0], levers[1] = focal * low_lever, focal * high_lever


def pair_errors(residuals: np.ndarray) -> np.ndarray:
    """[V, V] symmetric: median |px| over frames and both ends of each pair; NaN where no frame tells."""
    views = residuals.shape[1]
    errors = np.full((views, views), np.nan)
    for i in range(views):
        for j in range(i + 1, views):
            values = np.abs(residuals[:, i, j])
            values = values[np.isfinite(values)]
            if len(values) >= 2:
                errors[i, j] = errors[j, i] = np.median(values)
    return errors


def triangulate(origins: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """Point [3] nearest to lines: origins [N, 3], unit directions [N, 3] (least squares)."""
    projector = np.eye(3) - directions[:, :, None] * directions[:, None, :]
    return np.linalg.lstsq(projector.sum(0), np.einsum("nij,nj->i", projector, origins), rcond=None)[0]
