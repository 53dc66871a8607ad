"""What a fit is given: the views of one frame, checked, resized and cut to the animal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from mousefacelift.core.cameras import Camera
from mousefacelift.core.images import mask_bbox, resize_rgba
from mousefacelift.core.samples import Sample
from mousefacelift.errors import DataError


@dataclass(frozen=True)
class FrameViews:
    """V views of one frame.

    Attributes:
        name: names the frame in errors.
        rgba: float32 [V, H, W, 4] in [0, 1], straight alpha.
        cameras: V cameras of size W x H.
        sure: bool [V, H, W], false where the mask is not believed (nothing is asked of a fit there); None: all are.
        offsets: [V, 3], what a camera's colours lie above those of the others (`camera_offsets`); None: they agree.
    """

    name: str
    rgba: np.ndarray
    cameras: tuple[Camera, ...]
    sure: np.ndarray | None = None
    offsets: np.ndarray | None = None

    @property
    def even_rgba(self) -> np.ndarray:
        """`rgba` with the colours that the cameras agree on."""
        if self.offsets is None:
            return self.rgba
        colors = np.clip(self.rgba[..., :3] - self.offsets[:, None, None], 0, 1)
        return np.concatenate([colors, self.rgba[..., 3:]], -1)

    @property
    def masks(self) -> np.ndarray:
        """bool [V, H, W], alpha above one half."""
        return self.rgba[..., 3] > 0.5

    def without(self, left_out: Sequence[int]) -> FrameViews:
        """The frame without some of its views."""
        keep = [v for v in range(len(self.cameras)) if v not in left_out]
        name = f"{self.name} without views {sorted(left_out)}" if len(left_out) else self.name
        return replace(self.only(keep), name=name)

    def only(self, views: Sequence[int]) -> FrameViews:
        """The frame with only some of its views."""
        sure, offsets = (None if a is None else a[list(views)] for a in (self.sure, self.offsets))
        return FrameViews(self.name, self.rgba[list(views)], tuple(self.cameras[v] for v in views), sure, offsets)


def frame_views(name: str, sample: Sample, size: int | None = None, views: Sequence[int] | None = None) -> FrameViews:
    """The views of a sample as a fit takes them, resized to `size` px wide (cameras with them).

    Raises:
        DataError: fewer than two views, views of different sizes, NaN, or a view without foreground.
    """
    chosen = [sample.views[v] for v in views] if views is not None else list(sample.views)
    if len(chosen) < 2:
        raise DataError(f"frame '{name}' cannot be fitted", got=f"{len(chosen)} view(s)", expected="two views or more")
    shapes = {v.rgba.shape for v in chosen}
    if len(shapes) != 1:
        raise DataError(f"frame '{name}' has views of different sizes", got=sorted(shapes))
    images, cameras = [], []
    for index, view in enumerate(chosen):
        _check_view(name, index, view.rgba)
        width = size or view.camera.width
        height = round(view.camera.height * width / view.camera.width)
        images.append(resize_rgba(view.rgba, width, height))
        cameras.append(view.camera.scaled_to(width, height))
    return FrameViews(name, np.stack(images).astype(np.float32), tuple(cameras))


def _check_view(name: str, index: int, rgba: np.ndarray) -> None:
    if not np.isfinite(rgba).all():
        raise DataError(
            f"frame '{name}' has NaN or infinite pixels", where=f"view {index}", likely="a broken image file"
        )
    if not (rgba[..., 3] > 0.5).any():
        raise DataError(
            f"frame '{name}' has no foreground",
            where=f"view {index}",
            likely="the animal is outside the frame or the mask was lost",
            hint="exclude the frame, or leave the view out",
        )


def crop_together(frames: Sequence[FrameViews], margin: float = 0.1, multiple: int = 16) -> list[FrameViews]:
    """The frames cut to windows of one common size around the animal; principal points move with the windows.

    A window is the mask's bounding box grown by `margin` of its size, in whole multiples, and lies inside the image
    unless that is smaller; what lies outside is empty and not asked for. Cutting is exact: the pixels are the same,
    only fewer of them are empty.
    """
    boxes = [[mask_bbox(m) for m in frame.masks] for frame in frames]
    widest = max(x1 - x0 for frame in boxes for x0, _, x1, _ in frame)
    tallest = max(y1 - y0 for frame in boxes for _, y0, _, y1 in frame)
    grow = 1 + 2 * margin
    height, width = (multiple * int(np.ceil(a / multiple)) for a in frames[0].rgba.shape[1:3])
    window = (
        min(height, multiple * int(np.ceil(tallest * grow / multiple))),
        min(width, multiple * int(np.ceil(widest * grow / multiple))),
    )
    padded = [_pad(frame, (height, width)) for frame in frames]
    return [_crop(frame, frame_boxes, window) for frame, frame_boxes in zip(padded, boxes, strict=True)]


def _pad(frame: FrameViews, size: tuple[int, int]) -> FrameViews:
    """The frame with nothing to the right and below, up to a size (height, width)."""
    views, height, width = frame.rgba.shape[:3]
    if (height, width) == size:
        return frame
    grow = ((0, 0), (0, size[0] - height), (0, size[1] - width))
    sure = np.ones((views, height, width), bool) if frame.sure is None else frame.sure
    return replace(
        frame,
        rgba=np.pad(frame.rgba, (*grow, (0, 0))),
        cameras=tuple(replace(camera, width=size[1], height=size[0]) for camera in frame.cameras),
        sure=np.pad(sure, grow),
    )


def _crop(frame: FrameViews, boxes, window: tuple[int, int]) -> FrameViews:
    rows, columns = window
    height, width = frame.rgba.shape[1:3]
    images, cameras, sure = [], [], []
    for view, (x0, y0, x1, y1) in enumerate(boxes):
        rgba, camera = frame.rgba[view], frame.cameras[view]
        left = int(np.clip((x0 + x1 - columns) // 2, 0, width - columns))
        top = int(np.clip((y0 + y1 - rows) // 2, 0, height - rows))
        images.append(rgba[top : top + rows, left : left + columns])
        if frame.sure is not None:
            sure.append(frame.sure[view, top : top + rows, left : left + columns])
        cameras.append(replace(camera, fxfycxcy=camera.fxfycxcy - [0, 0, left, top], width=columns, height=rows))
    return FrameViews(frame.name, np.stack(images), tuple(cameras), np.stack(sure) if sure else None, frame.offsets)
