"""Lenses: pinhole with skew, Brown distortion and the fisheye polynomial, in the +0.5 pixel convention.

Pure functions and one small dataclass; readers make lenses, the audit and the normaliser use them. The undistortion
iterates to convergence: strong k2 and k3 need about 25 fixed-point steps, five are not enough.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from mousefacelift.core.compiled import compiled, inlined
from mousefacelift.errors import CalibrationError

BROWN, FISHEYE = 0, 1
MODELS = ("brown", "fisheye")
COEFFICIENTS = 8


@dataclass(frozen=True)
class Lens:
    """Everything between a point in camera axes and its pixel.

    Args:
        K: [3, 3] upper triangular, pixels; K[0, 1] is the skew; pixel centres at +0.5.
        distortion: k1 k2 p1 p2 k3 k4 k5 k6 as OpenCV orders them (model "brown"), or k1 k2 k3 k4 (model "fisheye").
            Shorter vectors are filled with zeros.
        model: "brown" or "fisheye".
    """

    K: np.ndarray
    distortion: np.ndarray = field(default_factory=lambda: np.zeros(COEFFICIENTS))
    model: str = "brown"
    _radii: dict = field(default_factory=dict, repr=False, compare=False)

    def __post_init__(self) -> None:
        K = np.array(self.K, np.float64)
        given = np.array(self.distortion, np.float64).ravel()
        if self.model not in MODELS:
            raise CalibrationError("lens model is not known", got=self.model, expected=" or ".join(MODELS))
        if len(given) > COEFFICIENTS and np.any(given[COEFFICIENTS:]):
            raise CalibrationError(
                "lens has more distortion terms than are supported",
                got=f"{len(given)} terms",
                expected="k1 k2 p1 p2 k3 k4 k5 k6",
                likely="thin-prism or tilted-sensor terms",
                hint="undistort the videos first",
            )
        if K.shape != (3, 3) or not np.isfinite(K).all() or not np.isfinite(given).all():
            raise CalibrationError("lens holds numbers that are not finite or has a wrong shape", got=f"K {K.tolist()}")
        if np.abs(K[[1, 2, 2], [0, 0, 1]]).max() > 1e-6 or abs(K[2, 2] - 1) > 1e-6 or min(K[0, 0], K[1, 1]) <= 0:
            raise CalibrationError(
                "K is not an upper triangular camera matrix",
                got=K.tolist(),
                likely="a transposed or unnormalised matrix",
            )
        distortion = np.zeros(COEFFICIENTS)
        distortion[: min(len(given), COEFFICIENTS)] = given[:COEFFICIENTS]
        object.__setattr__(self, "K", K)
        object.__setattr__(self, "distortion", distortion)

    @property
    def is_pinhole(self) -> bool:
        """Whether the lens is a plain pinhole without skew."""
        return self.model == "brown" and not self.distortion.any() and self.K[0, 1] == 0

    @property
    def fxfycxcy(self) -> np.ndarray:
        """[4] focal lengths and principal point, pixels."""
        return self.K[[0, 1, 0, 1], [0, 1, 2, 2]]

    @property
    def parameters(self) -> np.ndarray:
        """[14] model, fx, fy, cx, cy, skew and the eight coefficients: what the compiled kernels read."""
        return np.concatenate([[float(MODELS.index(self.model))], self.fxfycxcy, [self.K[0, 1]], self.distortion])

    def distort(self, normalised: np.ndarray) -> np.ndarray:
        """Pixels [..., 2] of points [..., 2] on the plane z = 1 in camera axes."""
        flat = np.ascontiguousarray(np.asarray(normalised, np.float64).reshape(-1, 2))
        return _distort_many(flat, self.parameters).reshape(np.shape(normalised))

    def undistort(self, pixels: np.ndarray) -> np.ndarray:
        """Points [..., 2] on the plane z = 1 that are seen at `pixels` [..., 2]; NaN where the lens cannot be
        inverted."""
        flat = np.ascontiguousarray(np.asarray(pixels, np.float64).reshape(-1, 2))
        return undistort_points(flat, self.parameters).reshape(np.shape(pixels))

    def shifted(self, shift: np.ndarray) -> Lens:
        """The lens with its principal point moved by `shift` [2] pixels."""
        K = self.K.copy()
        K[:2, 2] += shift
        return Lens(K, self.distortion, self.model)

    def scaled(self, factor: float) -> Lens:
        """The lens of a picture resized by `factor`."""
        K = self.K.copy()
        K[:2] *= factor
        return Lens(K, self.distortion, self.model)

    def valid_radius(self, width: int, height: int, margin: float = 1.05) -> float:
        """Largest |(x, y)| on the plane z = 1 that the image sees, times `margin`.

        Beyond it the polynomial may fold back into the image, so rays outside are never sampled.
        """
        key = (width, height, margin)
        if key not in self._radii:
            self._radii[key] = self._find_radius(width, height) * margin
        return self._radii[key]

    def _find_radius(self, width: int, height: int) -> float:
        n = 33
        u, v = np.linspace(0, width, n), np.linspace(0, height, n)
        border = np.concatenate(
            [
                np.stack([u, np.zeros(n)], 1),
                np.stack([u, np.full(n, height)], 1),
                np.stack([np.zeros(n), v], 1),
                np.stack([np.full(n, width), v], 1),
            ]
        )
        radius = np.linalg.norm(self.undistort(border), axis=1)
        if not np.isfinite(radius).any():
            raise CalibrationError(
                "lens distortion cannot be inverted anywhere on the image border",
                got=f"coefficients {self.distortion.tolist()}",
                likely="coefficients in another order",
            )
        return float(np.nanmax(radius))


@inlined()
def distort_point(x, y, p):
    """Pixel (u, v) of the point (x, y, 1) in camera axes under lens parameters p [14]."""
    if p[0] == 1.0:
        r = np.sqrt(x * x + y * y)
        if r > 1e-12:
            a = np.arctan(r)
            a2 = a * a
            s = a * (1 + a2 * (p[6] + a2 * (p[7] + a2 * (p[8] + a2 * p[9])))) / r
            x, y = x * s, y * s
    else:
        r2 = x * x + y * y
        radial = 1 + r2 * (p[6] + r2 * (p[7] + r2 * p[10]))
        radial /= 1 + r2 * (p[11] + r2 * (p[12] + r2 * p[13]))
        xy2 = 2 * x * y
        dx = p[8] * xy2 + p[9] * (r2 + 2 * x * x)
        dy = p[8] * (r2 + 2 * y * y) + p[9] * xy2
        x, y = x * radial + dx, y * radial + dy
    return p[1] * x + p[5] * y + p[3], p[2] * y + p[4]


@compiled()
def _distort_many(points, p):
    out = np.empty_like(points)
    for i in range(len(points)):
        out[i, 0], out[i, 1] = distort_point(points[i, 0], points[i, 1], p)
    return out


@compiled()
def undistort_points(pixels, p):
    """Damped Newton on the pixel error with a numeric Jacobian; started at the pinhole solution."""
    out = np.empty_like(pixels)
    step = 1e-6
    for i in range(len(pixels)):
        u, v = pixels[i, 0], pixels[i, 1]
        y = (v - p[4]) / p[2]
        x = (u - p[3] - p[5] * y) / p[1]
        error = 1e300
        for _ in range(60):
            a, b = distort_point(x, y, p)
            ex, ey = a - u, b - v
            error = ex * ex + ey * ey
            if error < 1e-18:
                break
            ax, bx = distort_point(x + step, y, p)
            ay, by = distort_point(x, y + step, p)
            j11, j21, j12, j22 = (ax - a) / step, (bx - b) / step, (ay - a) / step, (by - b) / step
            det = j11 * j22 - j12 * j21
            if det <= 0:
                break
            dx, dy = (j22 * ex - j12 * ey) / det, (j11 * ey - j21 * ex) / det
            scale = 1.0
            for _ in range(20):
                a, b = distort_point(x - scale * dx, y - scale * dy, p)
                if (a - u) ** 2 + (b - v) ** 2 < error:
                    break
                scale *= 0.5
            x, y = x - scale * dx, y - scale * dy
        a, b = distort_point(x, y, p)
        outward = (u - p[3]) * x * p[1] + (v - p[4]) * y * p[
            2
        ] >= -1e-3  # not on a branch that folds through the middle
        good = (a - u) ** 2 + (b - v) ** 2 < 1e-8 and outward
        out[i, 0] = x if good else np.nan
        out[i, 1] = y if good else np.nan
    return out
