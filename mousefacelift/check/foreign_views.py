"""Views that a method rendered itself: its cameras are laid onto the true ones by a similarity, in closed form.

Only views of the true cameras can be judged: rendered views of other cameras show other sides, and no similarity makes
them comparable.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from scipy.spatial.transform import Rotation

from mousefacelift.core.cameras import Camera
from mousefacelift.core.images import premultiply, unpremultiply
from mousefacelift.core.samples import Sample, View
from mousefacelift.core.similarity import Similarity
from mousefacelift.errors import DataError

TURN_LIMIT = 2.0  # degrees between a laid camera and its true one, above which its view shows another side


def similarity_of_cameras(own: Sequence[Camera], true: Sequence[Camera]) -> Similarity:
    """The similarity that brings cameras nearest to their true ones: turn from their axes, scale and shift from their
    places."""
    turn = Rotation.from_matrix([b.R.T @ a.R for a, b in zip(own, true, strict=True)]).mean().as_matrix()
    places, targets = (np.stack([camera.center for camera in part]) for part in (own, true))
    moved, wanted = (places - places.mean(0)) @ turn.T, targets - targets.mean(0)
    spread = float((moved**2).sum())
    scale = float((moved * wanted).sum()) / spread if spread > 1e-12 else 1.0
    if scale <= 0:
        raise DataError("the method's cameras are laid out in the opposite sense", likely="mirrored cameras")
    return Similarity(scale, turn, targets.mean(0) - scale * turn @ places.mean(0))


def lay_views(sample: Sample, truth: Sequence[View], where: Path) -> tuple[dict[int, np.ndarray], dict]:
    """rgba by place of the true view, resampled to its intrinsics, and what the similarity did.

    Args:
        sample: the method's views; a view belongs to the rig camera that its facts name, else to that of its place.
    Raises:
        DataError: a camera that the rig does not have, or views that are not of the true cameras.
    """
    places = {view.facts.camera: i for i, view in enumerate(truth)}
    numbers = [i if view.facts.camera is None else view.facts.camera for i, view in enumerate(sample.views)]
    strangers = [number for number in numbers if number not in places]
    if strangers:
        raise DataError(f"views {where} name a camera that the rig does not have", got=f"camera {strangers[0]}")
    true = [truth[places[number]].camera for number in numbers]
    move = similarity_of_cameras(sample.cameras, true)
    laid = [move.apply_camera(camera) for camera in sample.cameras]
    off = [np.degrees(Rotation.from_matrix(a.R @ b.R.T).magnitude()) for a, b in zip(laid, true)]
    if max(off) > TURN_LIMIT:
        raise DataError(
            f"views {where} are not of the true cameras, whatever the similarity",
            got=f"camera {numbers[int(np.argmax(off))]} is {max(off):.1f} degrees off",
            expected=f"at most {TURN_LIMIT}",
            hint="render from the cameras of the dataset's opencv_cameras.json, or hand over the solid itself",
        )
    shift = max(float(np.linalg.norm(a.center - b.center)) for a, b in zip(laid, true))
    images = {
        places[number]: _resample(view.rgba, view.camera, camera)
        for number, view, camera in zip(numbers, sample.views, true)
    }
    turn = float(np.degrees(Rotation.from_matrix(move.rotation).magnitude()))
    facts = {"turn": turn, "shift": float(np.linalg.norm(move.translation)), "scale": move.scale}
    return images, facts | {"camera_off_degrees": float(max(off)), "camera_off_units": shift}


def _resample(rgba: np.ndarray, own: Camera, true: Camera) -> np.ndarray:
    """A picture under the intrinsics of the true camera (pixel centres at +0.5)."""
    half = np.array([[1, 0, -0.5], [0, 1, -0.5], [0, 0, 1]])
    warp = half @ true.K @ np.linalg.inv(own.K) @ np.linalg.inv(half)
    size = (true.width, true.height)
    return unpremultiply(cv2.warpPerspective(premultiply(rgba).astype(np.float32), warp, size, flags=cv2.INTER_LINEAR))
