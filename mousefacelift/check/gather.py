"""What the detectors of a whole protocol need, gathered one prediction at a time.

Collapse, consistency, health and Chamfer distance look at many frames together. Kept of each is only what they need:
small images of the views that were not shown (collapse is about poses, which 128 px show), sums, and a few numbers.
"""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import torch

from mousefacelift.check import ladder
from mousefacelift.check.collapse import (
    collapse_metrics,
    diagnose,
    input_swap,
    laplacian_energy,
    view_copy,
)
from mousefacelift.check.consistency import chamfer, silhouette_consistency
from mousefacelift.check.health import ALIVE_OPACITY, alpha_entropy, floater_share
from mousefacelift.check.predictions import Item, Prediction
from mousefacelift.check.small_images import SmallImages
from mousefacelift.core.gaussians import Gaussians
from mousefacelift.core.images import resize_rgba

KEPT = ("predicted", "target", "mask", "alpha", "swap")
COLLAPSE_SIZE = 128  # px at most of the images that collapse is judged on

Frame = tuple[str, int]


@dataclass
class CollapseGatherer:
    """Collapse of one protocol: metrics and findings on the targets that were not inputs."""

    background: float
    mean_of: Callable[[str, int], np.ndarray]  # (recording, camera) -> rgba
    kept: dict[str, SmallImages] = field(default_factory=lambda: {name: SmallImages() for name in KEPT})
    cameras: dict[Frame, tuple[int, ...]] = field(default_factory=dict)
    copying: dict[Frame, float] = field(default_factory=dict)
    swaps: list[tuple[Frame, Frame, tuple[int, ...]]] = field(default_factory=list)  # shown, at, cameras
    energy: np.ndarray = field(default_factory=lambda: np.zeros(2))

    def add(self, prediction: Prediction) -> None:
        """Keep the small images of one judged prediction."""
        item = prediction.item
        unseen = [i for i in range(len(item.targets)) if not item.is_input[i]]
        if not unseen:
            return
        rendered = [prediction.rendered.views[i].rgba for i in unseen]
        truth = [prediction.truth[i] for i in unseen]
        masks = torch.from_numpy(np.stack([view.rgba[..., 3] > 0.5 for view in truth]))
        full = (stack(images, self.background) for images in (rendered, [view.rgba for view in truth]))
        self.energy += [laplacian_energy(images, masks) for images in full]
        shown, small = [shrink(view.rgba) for view in truth], [shrink(rgba) for rgba in rendered]
        nearest = [shrink(ladder.nearest_input(prediction.inputs, view.camera)) for view in truth]
        key = (item.recording, item.frame)
        predicted, target = stack(small, self.background), stack(shown, self.background)
        self.cameras[key] = tuple(item.cameras[i] for i in unseen)
        self.copying[key] = view_copy(predicted[None], target[None], stack(nearest, self.background)[None])
        self.kept["predicted"].add(key, predicted)
        self.kept["target"].add(key, target)
        self.kept["mask"].add(key, torch.from_numpy(np.stack([rgba[..., 3] for rgba in shown])))
        self.kept["alpha"].add(key, torch.from_numpy(np.stack([rgba[..., 3] for rgba in small])))

    def add_swap(self, item: Item, images: list[np.ndarray]) -> None:
        """Keep the small images [T] of a swap: inputs of another frame, cameras of this one."""
        unseen = [i for i in range(len(item.targets)) if not item.is_input[i]]
        assert item.swap_frame is not None  # of an item of kind "swap"
        shown, at = (item.recording, item.swap_frame), (item.recording, item.frame)
        self.kept["swap"].add((shown, at), stack([shrink(images[i]) for i in unseen], self.background))
        self.swaps.append((shown, at, tuple(item.cameras[i] for i in unseen)))

    def summary(self) -> dict:
        """Metrics and findings; what could not be judged says why. Called once: the images are let go on the way."""
        sets = list(self.cameras.values())
        common = max(set(sets), key=sets.count) if sets else ()
        chosen = [key for key, cameras in self.cameras.items() if cameras == common]
        if len(chosen) < 2:
            return {"judged": False, "why": f"{len(chosen)} frames with the same held-out views; at least 2 are needed"}
        swap = self._follow_swaps(set(chosen), common)
        parts = {name: self.kept.pop(name).stack(chosen) for name in ("predicted", "target", "mask", "alpha")}
        mean = stack([shrink(self.mean_of(chosen[0][0], camera)) for camera in common], self.background)
        values = collapse_metrics(parts["predicted"], parts["target"], parts["mask"], parts["alpha"], mean)
        values["sharpness_ratio"] = float(self.energy[0] / max(self.energy[1], 1e-12))  # at full size
        values["view_copy"] = float(np.mean([self.copying[key] for key in chosen]))
        values |= {} if swap is None else {"input_swap": swap}
        return {
            "judged": True,
            "frames": len(chosen),
            "cameras": list(common),
            "pixels": parts["predicted"].shape[-1],
            "metrics": values,
            "findings": list(diagnose(values)),
        }

    def _follow_swaps(self, frames: set[Frame], common: tuple[int, ...]) -> float | None:
        """`input_swap` over all swaps between judged frames, one at a time; None without any."""
        gains = []
        for shown, at, cameras in self.swaps:
            if {shown, at} <= frames and set(common) <= set(cameras):
                swapped = self.kept["swap"][shown, at][[cameras.index(camera) for camera in common]]
                gains.append(input_swap(swapped, *(self.kept["target"][key] for key in (shown, at))))
        return float(np.mean(gains)) if gains else None


@dataclass
class GeometryGatherer:
    """Are the rendered views one body, of which surface, and are its Gaussians well? Means over the predictions."""

    values: dict[str, dict[str, array]] = field(
        default_factory=lambda: {
            part: defaultdict(partial(array, "d")) for part in ("consistency", "health", "surface")
        }
    )
    measured: int = 0

    def add_views(self, prediction: Prediction) -> None:
        """Silhouettes of the rendered views, and for comparison those of the true ones, against their hull."""
        self.measured += 1
        for name, views in (("model", prediction.rendered.views), ("truth", prediction.truth)):
            masks = [view.rgba[..., 3] > 0.5 for view in views]
            if len(masks) < 3 or not all(mask.any() for mask in masks):
                self.values["consistency"][f"{name}_empty"].append(1.0)
                continue
            scores = silhouette_consistency(masks, [view.camera for view in views], ladder.HALF_EXTENT)
            for key, value in scores.items():
                self.values["consistency"][f"{name}_{key}"].append(value)

    def add_health(self, prediction: Prediction) -> None:
        """Shape of the Gaussians as predicted, and fog and floaters of the renders."""
        alpha = np.stack([view.rgba[..., 3] for view in prediction.rendered.views])
        masks = np.stack([view.rgba[..., 3] for view in prediction.truth])
        health = prediction.item.health | {
            "alpha_entropy": alpha_entropy(alpha),
            "floater_share": floater_share(alpha, masks),
        }
        for name, value in health.items():
            if np.isfinite(value):
                self.values["health"][name].append(value)

    def add_surface(self, gaussians: Gaussians, surface: np.ndarray, mm: float) -> None:
        """Distances between the centres of visible Gaussians and points of the true surface; `mm` per unit."""
        centers = gaussians.means[gaussians.opacities > ALIVE_OPACITY].double().numpy()
        if not len(centers):
            self.values["surface"]["splats_empty"].append(1.0)
            return
        for name, value in chamfer(centers, surface).items():
            self.values["surface"][f"{name}_mm"].append(value * mm)

    def summary(self, part: str) -> dict[str, float]:
        """Means of the numbers of a part (consistency, health or surface), and counts of what was empty."""
        return {
            name: float(np.sum(values) if name.endswith("_empty") else np.mean(values))
            for name, values in self.values[part].items()
        }


def stack(images: list[np.ndarray], background: float) -> torch.Tensor:
    """[V, 3, H, W] of rgba images over a grey background: `composite` by planes, which is several times faster."""
    planes = np.empty((len(images), 3, *images[0].shape[:2]), np.float32)
    for rgba, rgb in zip(images, planes):
        alpha = np.ascontiguousarray(rgba[..., 3])
        behind = np.float32(background) * (1 - alpha)
        for channel, plane in enumerate(rgb):
            np.multiply(rgba[..., channel], alpha, out=plane)
            plane += behind
    return torch.from_numpy(planes)


def shrink(rgba: np.ndarray) -> np.ndarray:
    """`rgba` at most COLLAPSE_SIZE px wide."""
    return rgba if rgba.shape[1] <= COLLAPSE_SIZE else resize_rgba(rgba, COLLAPSE_SIZE, COLLAPSE_SIZE)
