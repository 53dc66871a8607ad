"""Defects of real recordings: wrong calibrations, altered masks, noise and drift. Truth files never see them."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from mousefacelift.virtual.config import Degradations
from mousefacelift.virtual.rig import RIG_SIZE, Lens

DRIFT_PERIOD_S = 12.0


def spoil_calibration(lenses: list[Lens], degradations: Degradations, seed: int) -> list[Lens]:
    """The lenses as the calibration file states them: principal points off, cameras turned, one a copy of another."""
    rng = np.random.default_rng([seed, 51])
    spoiled = [_spoil_lens(lens, degradations, rng) for lens in lenses]
    copied = degradations.copied_calibration_camera
    if copied >= 0:
        spoiled[copied] = spoiled[(copied + 1) % len(spoiled)]
    return spoiled


def _spoil_lens(lens: Lens, degradations: Degradations, rng: np.random.Generator) -> Lens:
    shift = rng.uniform(*degradations.principal_point_px) * lens.width / RIG_SIZE[0]
    direction, axis = rng.uniform(0, 2 * np.pi), rng.normal(size=3)
    angle = np.radians(rng.uniform(*degradations.extrinsic_jitter_deg))
    offset = [0, 0, shift * np.cos(direction), shift * np.sin(direction), 0]
    shifted = replace(lens, intrinsics=lens.intrinsics + offset)
    if not angle:
        return shifted
    rotation = cv2.Rodrigues(axis / np.linalg.norm(axis) * angle)[0] @ lens.rotation
    return replace(shifted, rotation=rotation, translation=-rotation @ lens.center)


def with_matrix_of(lenses: list[Lens], others: list[Lens]) -> list[Lens]:
    """The lenses with the focal lengths and principal points of others, as when the wrong K is written."""
    return [replace(lens, intrinsics=np.append(other.intrinsics[:4], 0.0)) for lens, other in zip(lenses, others)]


def mask_changes(degradations: Degradations, cameras: int, width: int, seed: int) -> np.ndarray:
    """[cameras] pixels by which each camera's mask grows (negative: shrinks)."""
    rng = np.random.default_rng([seed, 52])
    size = rng.uniform(*degradations.mask_change_px, cameras) * width / RIG_SIZE[0]
    return size * rng.choice([-1.0, 1.0], cameras)


def change_mask(alpha: np.ndarray, pixels: float) -> np.ndarray:
    """A mask [H, W] in [0, 1] dilated (positive) or eroded (negative) by a number of pixels, fractions too."""
    if pixels == 0:
        return alpha
    inside = (alpha > 0.5).astype(np.uint8)
    signed = (
        cv2.distanceTransform(inside, cv2.DIST_L2, 5)
        - cv2.distanceTransform(1 - inside, cv2.DIST_L2, 5)
        + np.where(inside, -0.5, 0.5)
    )
    return np.clip(signed + pixels + 0.5, 0, 1).astype(np.float32)


def gain_at(time_s: float, camera: int, amplitude: float) -> float:
    """Exposure of a camera at a time, 1 when there is no drift."""
    return 1.0 + amplitude * np.sin(2 * np.pi * (time_s / DRIFT_PERIOD_S + 0.37 * camera))


def colour_offset(camera: int, largest: float, seed: int) -> np.ndarray:
    """[3] offset of a camera's red, green and blue, of full range: grey for the most part, as exposures differ."""
    rng = np.random.default_rng([seed, 54, camera])
    return np.clip(0.7 * rng.uniform(-1, 1) + 0.3 * rng.uniform(-1, 1, 3), -1, 1) * largest


def sense(
    image: np.ndarray, gain: float, noise: float, rng: np.random.Generator, offset: np.ndarray | float = 0.0
) -> np.ndarray:
    """8-bit rgb [H, W, 3] of a display image [0, 1] through a sensor with noise of `noise` levels and an offset."""
    levels = image * np.float32(255.0 * gain) + np.float32(255.0) * np.float32(offset)
    if noise > 0:
        levels += np.float32(noise) * rng.standard_normal(image.shape, np.float32)
    return np.clip(levels + 0.5, 0, 255).astype(np.uint8)
