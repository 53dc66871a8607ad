"""Views in between the real cameras: which ones, how far each can be trusted, and their rendering.

Every rendered view carries its camera, alpha, depth, the angle to the nearest camera of the fit, the expected error and
the trust that follows from it. Views whose expected error is above what the user allows are not rendered.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from mousefacelift.config import config_hash
from mousefacelift.core.cameras import (
    CANONICAL_DISTANCE,
    RING_ELEVATION,
    Camera,
    angle_between,
    azimuth_elevation,
    canonical_fxfycxcy,
    orbit,
    signed_degrees,
)
from mousefacelift.core.cameras import ring as ring_cameras
from mousefacelift.core.files import write_bytes
from mousefacelift.core.records import ItemRow, SampleFacts, ViewFacts
from mousefacelift.core.samples import Sample, View, write_sample
from mousefacelift.splats.config import NovelConfig
from mousefacelift.splats.scene import Scene
from mousefacelift.splats.score import render_views
from mousefacelift.splats.trust import Trust

DEPTH_UNIT = 1e-4  # world units per step of the 16-bit depth images: up to 6.5 units


@dataclass(frozen=True)
class PlannedView:
    """A camera to render from and why.

    Attributes:
        kind: "fixed", "gap" or "ring".
        relative_azimuth: degrees from camera 0.
        nearest_angle: degrees to the nearest camera that the splat was fitted to.
    """

    camera: Camera
    kind: str
    relative_azimuth: float
    nearest_angle: float


def plan_views(cameras: Sequence[Camera], config: NovelConfig) -> list[PlannedView]:
    """In-between views of a rig: fixed angles relative to camera 0, midpoints of the gaps between neighbours, or
    both."""
    planned = []
    reference = azimuth_elevation(cameras[0])[0]
    if config.mode in ("fixed", "both"):
        angles = [
            (reference + relative, elevation)
            for elevation in config.elevations
            for relative in config.relative_azimuths
        ]
        planned += [_plan(a, e, "fixed", cameras, config.size) for a, e in angles]
    if config.mode in ("gaps", "both"):
        planned += [_plan(a, e, "gap", cameras, config.size) for a, e in gap_midpoints(cameras)]
    return planned


def plan_ring(cameras: Sequence[Camera], config: NovelConfig) -> list[PlannedView]:
    """The published ring: equal azimuth steps (11.25 degrees for 32) at elevation 20, distance 2.7, from world azimuth
    0."""
    views = ring_cameras(config.ring_views, config.size, RING_ELEVATION, CANONICAL_DISTANCE)
    return [_describe(camera, "ring", cameras) for camera in views]


def gap_midpoints(cameras: Sequence[Camera]) -> list[tuple[float, float]]:
    """Azimuth and elevation (degrees) midway between neighbours around the ring, whatever the order of the cameras."""
    angles = sorted(azimuth_elevation(camera)[:2] for camera in cameras)
    following = [*angles[1:], (angles[0][0] + 360.0, angles[0][1])]
    return [((a + b) / 2 % 360.0, (ea + eb) / 2) for (a, ea), (b, eb) in zip(angles, following, strict=True)]


def _plan(azimuth: float, elevation: float, kind: str, cameras: Sequence[Camera], size: int) -> PlannedView:
    return _describe(orbit(azimuth, elevation, CANONICAL_DISTANCE, canonical_fxfycxcy(size), size, size), kind, cameras)


def _describe(camera: Camera, kind: str, cameras: Sequence[Camera]) -> PlannedView:
    relative = (azimuth_elevation(camera)[0] - azimuth_elevation(cameras[0])[0]) % 360.0
    return PlannedView(camera, kind, round(relative, 6), min(angle_between(camera, real) for real in cameras))


def write_views(
    folder: Path,
    scene: Scene,
    planned: Sequence[PlannedView],
    trust: Trust,
    fit: dict,
    config: NovelConfig,
    device: str = "cpu",
) -> dict:
    """Render the trusted ones of `planned` into a sample folder and return its index row.

    Args:
        fit: the fit's record (`fit.json`): name, hash, scores, parents (hashes of photos), its sample's facts, seed.
    """
    judged = [(view, *trust.judge(view.nearest_angle, fit["scores"]["error"], config.max_error)) for view in planned]
    chosen = [item for item in judged if item[1] <= config.max_error]
    refused = [
        {"relative_azimuth": view.relative_azimuth, "kind": view.kind, "expected_error": expected}
        for view, expected, _ in judged
        if expected > config.max_error
    ]
    if not chosen:
        reason = f"no view with an expected error of {config.max_error} or less"
        return ItemRow(0, fit["frame"], "refused", reason, details={"refused": refused}).to_row()
    rgba, depth = render_views(scene, [view.camera for view, _, _ in chosen], device)
    views = tuple(
        View(rgba[index], view.camera, _view_facts(index, view, expected, trusted, fit["hash"], config.depth))
        for index, (view, expected, trusted) in enumerate(chosen)
    )
    facts = SampleFacts.from_json(fit["sample"], f"fit {fit['name']}").derive(
        "splat", parents=(fit["hash"], *fit["parents"]), seed=fit["seed"], config_hash=config_hash(config)
    )
    hashes = write_sample(folder, Sample(views, facts), into=True)
    if config.depth:
        (folder / "depth").mkdir()
        for index, image in enumerate(depth):
            steps = np.rint(np.clip(image / DEPTH_UNIT, 0, 65535)).astype(np.uint16)
            write_bytes(folder / "depth" / f"cam_{index:03d}.png", cv2.imencode(".png", steps)[1].tobytes())
    return ItemRow(len(hashes), fit["frame"], hashes=tuple(hashes), details={"refused": refused}).to_row()


def _view_facts(
    index: int, view: PlannedView, expected: float, trusted: float, parent: str, with_depth: bool
) -> ViewFacts:
    azimuth, elevation, _ = azimuth_elevation(view.camera)
    details = {
        "azimuth": azimuth,
        "elevation": elevation,
        "nearest_real_angle": view.nearest_angle,
        "expected_error": expected,
    }
    if with_depth:
        details |= {"depth": f"depth/cam_{index:03d}.png", "depth_unit": DEPTH_UNIT}
    return ViewFacts(
        kind=view.kind,
        parents=(parent,),
        offset=signed_degrees(view.relative_azimuth),
        score=trusted,
        details=details,
    )
