"""The real six-camera mouse rig as numbers, and lenses with skew and distortion.

Numbers: DANNCE, `demo/markerless_mouse_1/label3d_dannce.mat` (spoonsso/dannce, commit cefd782, MIT licence), rounded to
1e-9; millimetres, world Z up, floor at z ~ 0. Their pixels are 0-based; here 0.5 is added, so that cx = W/2 is the
middle.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from mousefacelift.core.cameras import Camera, look_at
from mousefacelift.errors import ConfigError

RIG_SIZE = (1152, 1024)
ARENA_CENTER = np.array([47.5, 53.0])  # mm; centre of the white disc (field notes of the public recording)
ARENA_RADIUS = 92.0  # mm

# fx, skew, cx, fy, cy (0-based pixels); k1 k2 p1 p2 k3 (OpenCV order); R row by row; t in mm.
REAL_RIG = (
    (
        (1667.663089367, -5.815297323, 602.881804161, 1674.173512601, 491.965050145),
        (-0.159255781, 0.9403376, -0.001091106, -0.003791995, -2.711642813),
        (
            0.576921812,
            -0.816680822,
            -0.013916113,
            0.002681322,
            0.018930874,
            -0.9998172,
            0.816794976,
            0.576779037,
            0.013111418,
        ),
        (10.338580017, 66.414836488, 236.699199567),
    ),
    (
        (1637.430721977, 1.388838223, 617.453005351, 1648.59581166, 432.26765761),
        (-0.151051655, 0.900129716, -0.010990221, -0.001481795, -3.022306908),
        (
            -0.497060356,
            0.867231017,
            0.029006314,
            0.190702521,
            0.141791571,
            -0.97135354,
            -0.846500769,
            -0.477289759,
            -0.23586211,
        ),
        (-32.40553513, 49.665091607, 410.189721436),
    ),
    (
        (1656.993073565, -0.91243523, 616.02367569, 1665.108642624, 478.936309869),
        (-0.085141972, 0.041678381, -0.002330674, -0.006600812, 0.243437745),
        (
            -0.998116294,
            -0.057544041,
            -0.021273171,
            0.020385411,
            0.015970825,
            -0.999664628,
            0.057864492,
            -0.998215215,
            -0.014767682,
        ),
        (45.989031054, 64.99540984, 354.835479831),
    ),
    (
        (1668.696486812, -5.889512418, 582.366009909, 1674.157107682, 548.914938232),
        (-0.099972931, 0.04546365, 0.000495992, -0.000885314, -0.99313521),
        (
            0.396494636,
            0.917996603,
            0.008616348,
            0.016853757,
            0.002105325,
            -0.999855749,
            -0.917882321,
            0.396582659,
            -0.014636941,
        ),
        (-70.505784946, 57.871583931, 327.553193356),
    ),
    (
        (1665.313726912, -1.271208167, 638.549381255, 1671.864419875, 459.602094272),
        (-0.078222064, -0.159281422, -0.00832422, 0.001848247, 0.534210516),
        (
            -0.410331979,
            -0.911912953,
            0.006514008,
            -0.253173905,
            0.107052174,
            -0.961479488,
            0.876088261,
            -0.396174958,
            -0.274799494,
        ),
        (57.159182547, 60.497054305, 307.228654938),
    ),
    (
        (1668.247255698, -4.925928496, 612.531411442, 1673.121972237, 522.325719272),
        (-0.065633519, -0.073898165, 0.001721567, -0.000561348, 0.151107307),
        (
            0.981471724,
            0.190932501,
            -0.016063464,
            0.056990223,
            -0.370935537,
            -0.926908271,
            -0.182935424,
            0.908818798,
            -0.374944027,
        ),
        (-64.820204133, 50.924839637, 294.387373613),
    ),
)
# fx and cx of the undistorted frames as MAMMAL's new_cam.pkl has them (field notes, section 2); cx there 0-based.
UNDISTORTED_FX_CX = (
    (1632.3, 600.6),
    (1556.8, 622.7),
    (1630.3, 611.2),
    (1606.2, 583.0),
    (1618.3, 640.7),
    (1636.9, 613.6),
)


@dataclass(frozen=True)
class Lens:
    """A calibrated camera with skew and Brown distortion; `distortion` all zero and no skew is a pinhole.

    Args:
        rotation, translation: [3, 3], [3] mm; x_cam = R x + t, OpenCV axes.
        intrinsics: [5] fx, fy, cx, cy, skew in pixels, pixel centres at +0.5; u = fx x + skew y + cx.
        distortion: [5] k1, k2, p1, p2, k3.
        width, height: pixels.
    """

    rotation: np.ndarray
    translation: np.ndarray
    intrinsics: np.ndarray
    distortion: np.ndarray
    width: int
    height: int

    @property
    def center(self) -> np.ndarray:
        """[3] optical centre in mm."""
        return -self.rotation.T @ self.translation

    def packed(self) -> np.ndarray:
        """[22] float64: R, t, intrinsics, distortion, as the compiled kernels take it."""
        return np.concatenate([self.rotation.ravel(), self.translation, self.intrinsics, self.distortion])

    def scaled_to(self, width: int, height: int) -> Lens:
        """The same lens in front of an image of another size."""
        sx, sy = width / self.width, height / self.height
        return replace(self, intrinsics=self.intrinsics * [sx, sy, sx, sy, sx], width=width, height=height)

    def pinhole(self) -> Camera:
        """The Camera of an undistorted lens.

        Raises:
            ConfigError: the lens has skew or distortion.
        """
        if np.any(self.distortion) or self.intrinsics[4]:
            raise ConfigError("a lens with skew or distortion is no pinhole camera", got=f"{self.distortion}")
        w2c = np.eye(4)
        w2c[:3, :3], w2c[:3, 3] = self.rotation, self.translation
        return Camera(w2c, self.intrinsics[:4], self.width, self.height)


def from_camera(camera: Camera) -> Lens:
    """The pinhole Lens of a Camera."""
    return Lens(camera.R, camera.t, np.append(camera.fxfycxcy, 0.0), np.zeros(5), camera.width, camera.height)


def distort(normalised: np.ndarray, distortion: np.ndarray) -> np.ndarray:
    """Distorted normalised coordinates [..., 2] of ideal ones (Brown, as OpenCV's projectPoints)."""
    k1, k2, p1, p2, k3 = distortion
    x, y = normalised[..., 0], normalised[..., 1]
    r2 = x * x + y * y
    radial = 1 + r2 * (k1 + r2 * (k2 + r2 * k3))
    return np.stack(
        [x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x), y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y], -1
    )


def undistort(distorted: np.ndarray, distortion: np.ndarray, steps: int = 25) -> np.ndarray:
    """Ideal normalised coordinates of distorted ones by fixed-point steps (5 are too few for cameras 1 and 2)."""
    ideal = distorted
    for _ in range(steps):
        ideal = ideal + distorted - distort(ideal, distortion)
    return ideal


def project(lens: Lens, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pixels [..., 2] and depths [...] in mm of world points [..., 3] in front of the lens."""
    local = points @ lens.rotation.T + lens.translation
    x, y = np.moveaxis(distort(local[..., :2] / local[..., 2:], lens.distortion), -1, 0)
    fx, fy, cx, cy, skew = lens.intrinsics
    return np.stack([fx * x + skew * y + cx, fy * y + cy], -1), local[..., 2]


def rays(lens: Lens) -> np.ndarray:
    """World directions [H, W, 3] with camera depth 1 through the pixel centres."""
    u, v = np.meshgrid(np.arange(lens.width) + 0.5, np.arange(lens.height) + 0.5)
    fx, fy, cx, cy, skew = lens.intrinsics
    y = (v - cy) / fy
    ideal = undistort(np.stack([(u - cx - skew * y) / fx, y], -1), lens.distortion)
    return np.concatenate([ideal, np.ones_like(ideal[..., :1])], -1) @ lens.rotation


def build_rig(name: str, count: int, width: int, height: int) -> list[Lens]:
    """The distorted lenses of a rig, for frames of width x height.

    Args:
        name: "markerless_mouse" (the real rig, six cameras) or "ring" (any count, two elevation tiers like the real
            one).
    Raises:
        ConfigError: the real rig with another count, or fewer than 3 or more than 16 cameras.
    """
    if name == "markerless_mouse" and count != len(REAL_RIG):
        raise ConfigError("the rig 'markerless_mouse' has 6 cameras", got=count, hint="rig: ring takes 3 to 16 cameras")
    if not 3 <= count <= 16:
        raise ConfigError("a rig has 3 to 16 cameras", got=count)
    if name == "ring":
        return [_ring_lens(i, count).scaled_to(width, height) for i in range(count)]
    return [_real_lens(*row).scaled_to(width, height) for row in REAL_RIG]


def move_back(lenses: list[Lens], distance_mm: float) -> list[Lens]:
    """The rig at another mean distance from the arena's middle, with longer lenses: the middle keeps its pixel and its
    size."""
    middle = np.array([*ARENA_CENTER, 20.0])
    factor = distance_mm / np.mean([np.linalg.norm(lens.center - middle) for lens in lenses])
    moved = []
    for lens in lenses:
        center = middle + factor * (lens.center - middle)
        fx, fy, cx, cy, skew = lens.intrinsics
        seen = lens.rotation @ (middle - lens.center)
        # about the pixel of the middle, so that what is off the axis stays where it is
        x, y = seen[:2] / seen[2]
        shift = (1 - factor) * np.array([fx * x + skew * y, fy * y])
        longer = np.array([fx * factor, fy * factor, cx + shift[0], cy + shift[1], skew * factor])
        moved.append(replace(lens, translation=-lens.rotation @ center, intrinsics=longer, distortion=np.zeros(5)))
    return moved


def undistorted_rig(lenses: list[Lens]) -> list[Lens]:
    """The pinhole lenses of the undistorted videos; the real rig's have the focal lengths of its `new_cam.pkl`."""
    return [_undistorted(lens, i) for i, lens in enumerate(lenses)]


def _undistorted(lens: Lens, index: int) -> Lens:
    fx, fy, cx, cy, _ = lens.intrinsics
    scale = lens.width / RIG_SIZE[0]
    is_real = index < len(REAL_RIG) and np.isclose(fx / scale, REAL_RIG[index][0][0])
    new_fx, new_cx = (np.array(UNDISTORTED_FX_CX[index]) + [0, 0.5]) * scale if is_real else (fx, cx)
    return replace(lens, intrinsics=np.array([new_fx, fy * new_fx / fx, new_cx, cy, 0.0]), distortion=np.zeros(5))


def _real_lens(intrinsics, distortion, rotation, translation) -> Lens:
    fx, skew, cx, fy, cy = intrinsics
    u, _, vt = np.linalg.svd(np.reshape(rotation, (3, 3)))
    return Lens(
        u @ vt, np.array(translation), np.array([fx, fy, cx + 0.5, cy + 0.5, skew]), np.array(distortion), *RIG_SIZE
    )


def _ring_lens(index: int, count: int) -> Lens:
    azimuth, height = 2 * np.pi * index / count, (63.0, 148.0)[index % 2]
    center = np.array([*ARENA_CENTER, 0]) + [288 * np.cos(azimuth), 288 * np.sin(azimuth), height]
    w2c = look_at(center, [*ARENA_CENTER, 45.0])
    return Lens(
        w2c[:3, :3],
        w2c[:3, 3],
        np.array([1650.0, 1650.0, 576.0, 512.0, 0.0]),
        np.array([-0.1, 0.1, 0.0, 0.0, 0.0]),
        *RIG_SIZE,
    )
