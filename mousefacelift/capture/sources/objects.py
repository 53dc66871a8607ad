"""From pictures of masks to one animal's silhouette: grey masks, labels, palettes and colours."""

from __future__ import annotations

import numpy as np

from mousefacelift.errors import DataError

FEW = 8  # values of a label picture; the grey edges of an antialiased mask have more


def silhouette(image: np.ndarray, wanted: int, where: str, labels: bool = False) -> np.ndarray:
    """uint8 [H, W], 0 to 255, of a mask picture.

    Args:
        image: [H, W] of any integer, bool or float type, or [H, W, C].
        wanted: number of the object that is the animal, 0 for the only one.
        labels: values are object numbers for sure (a palette).
    Raises:
        DataError: several objects and none chosen, or no object can have that number.
    """
    image = _one_channel(image, where)
    if image.dtype == bool:
        return image.astype(np.uint8) * np.uint8(255)
    if image.dtype.kind == "f":
        if image.size and (not np.isfinite(image).all() or image.min() < 0):
            raise DataError(
                f"mask {where} holds negative numbers or none at all",
                likely="scores (logits) instead of a mask",
                hint="save scores > 0, or their sigmoid",
            )
        if wanted == 0 and image.max(initial=0) <= 1:
            return np.rint(image * 255).astype(np.uint8)
    if wanted:
        return (image == wanted).astype(np.uint8) * np.uint8(255)
    if not labels and image.dtype == np.uint8 and image.max(initial=0) > 127 and len(np.unique(image)) > FEW:
        return image  # a grey mask; its edges say where in a pixel the border lies
    values = [value for value in np.unique(image).tolist() if value]
    if len(values) > 1:
        raise DataError(
            f"mask {where} holds several objects",
            got=f"values {', '.join(f'{value:g}' for value in values[:8])}",
            expected="one animal",
            hint="name the animal's number: mask_object in the recording's config",
        )
    return (image != 0).astype(np.uint8) * np.uint8(255)


def _one_channel(image: np.ndarray, where: str) -> np.ndarray:
    """[H, W]; alpha where there is one that is not opaque, equal channels as grey, colours as one number each."""
    if image.ndim == 2:
        return image
    if image.shape[2] in (2, 4) and image[..., -1].min(initial=255) < 255:
        return image[..., -1]
    colors = image[..., :3] if image.shape[2] >= 3 else image[..., :1]
    if (colors == colors[..., :1]).all():
        return colors[..., 0]
    weights = np.array([65536, 256, 1], np.int64)
    return (colors.astype(np.int64) * weights).sum(-1)
