"""Pictures of protocol S: a sheet of answers, and the picture beside its turntable and the truth."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import torch
from PIL import Image, ImageDraw

from mousefacelift.check.single_items import SingleItem
from mousefacelift.core.camera_tensors import CameraTensors
from mousefacelift.core.cameras import (
    CANONICAL_DISTANCE,
    RING_ELEVATION,
    Camera,
    angle_between,
    azimuth_elevation,
    canonical_fxfycxcy,
    orbit,
)
from mousefacelift.core.files import write_bytes
from mousefacelift.core.images import composite, contact_sheet, resize_rgba, shared_crop
from mousefacelift.core.render import published_render, render

COLUMNS = ("picture", "truth", "model", "nearest", "others", "one_silhouette", "mean_image")
LABELS = ("picture", "truth", "model", "nearest pose", "other views", "silhouette", "mean image")
DRAWN, EDGE = 288, 224  # pixels of a panel of the turntable before and after all are cropped alike
FRAMES = 36
FRAME_MS = 90


def draw_row(item: SingleItem, images: dict[str, np.ndarray], background: float) -> list[np.ndarray]:
    """rgb pictures of one answer from the judging view that lies nearest to 120 degrees from the picture."""
    angles = np.array([angle_between(item.picture.camera, view.camera) for view in item.targets])
    view = int(np.abs(angles - 120).argmin())
    shown = {"picture": item.picture.rgba, "truth": item.targets[view].rgba}
    shown |= {method: rgba[view] for method, rgba in images.items()}
    empty = np.zeros_like(item.picture.rgba)
    return [composite(shown.get(name, empty), (background,) * 3) for name in COLUMNS]


def draw_sheet(rows: list[list[np.ndarray]], background: float) -> np.ndarray:
    """All rows of `draw_row` under their labels, cropped alike."""
    pictures = shared_crop([picture for row in rows for picture in row], background)
    return contact_sheet(pictures, len(COLUMNS), labels=LABELS)


def write_show(path: Path, item: SingleItem, background: float) -> None:
    """Animated WebP: the picture, the model's splat once around, and the truth.

    The truth of a virtual animal turns too; of a filmed one it is the photo of the camera nearest to the turntable's.
    """
    azimuth, _, _ = azimuth_elevation(item.picture.camera)
    gaussians = item.gaussians("model")
    lens = item.picture.camera.fxfycxcy[0] / item.picture.camera.width / canonical_fxfycxcy(1)[0]
    photos, panels = (item.picture, *item.targets), []
    for step in range(FRAMES):
        camera = _turntable_camera(azimuth + 360 * step / FRAMES, lens)
        nearest = min(photos, key=lambda view: angle_between(view.camera, camera))
        drawn = _rendered(gaussians, camera, background)
        panels += [_flat(item.picture.rgba, background), drawn, _flat(nearest.rgba, background)]
    panels = [cv2.resize(panel, (EDGE, EDGE)) for panel in shared_crop(panels, background)]
    frames = [_labelled(np.concatenate(panels[3 * step : 3 * step + 3], 1)) for step in range(FRAMES)]
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}")
    frames[0].save(temporary, "WEBP", save_all=True, append_images=frames[1:], duration=FRAME_MS, loop=0, quality=82)
    write_bytes(path, temporary.read_bytes())
    temporary.unlink()


def _turntable_camera(azimuth: float, lens: float) -> Camera:
    focal = canonical_fxfycxcy(DRAWN) * [lens, lens, 1, 1]
    return orbit(azimuth % 360, RING_ELEVATION, CANONICAL_DISTANCE, focal, DRAWN, DRAWN)


def _rendered(gaussians, camera: Camera, background: float) -> np.ndarray:
    with torch.no_grad():
        out = render(
            gaussians,
            CameraTensors.from_cameras([camera]),
            published_render(gaussians.means.device),
            torch.full((3,), background),
        )
    return out.rgb[0].clamp(0, 1).numpy()


def _flat(rgba: np.ndarray, background: float) -> np.ndarray:
    return composite(resize_rgba(rgba, DRAWN, DRAWN), (background,) * 3)


def _labelled(rgb: np.ndarray) -> Image.Image:
    image = Image.fromarray((np.clip(rgb, 0, 1) * 255).round().astype(np.uint8))
    for column, text in enumerate(("input picture", "reconstruction", "truth")):
        ImageDraw.Draw(image).text((column * EDGE + 6, 4), text, fill=(90, 90, 90))
    return image
