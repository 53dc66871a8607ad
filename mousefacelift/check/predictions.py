"""Predictions on disk: what a reconstructor rendered, beside the truth that it is judged by.

`lrm predict` writes, and every evaluation reads, one chunk folder:

    predictions/index.json
      header: {arm, seed, model_hash, step, size, background: "alpha"}    whose predictions these are
      items:  one per (protocol, recording, frame, inputs), folder `name` beside the index:
        name       folder name
        kind       "target" (judged), or "swap": inputs of frame `swap_frame` with the cameras of `frame`
        protocol   "A" new time, seen cameras; "B" held-out camera, time seen in training; "C" held-out camera, new time
        split, recording, frame, swap_frame (null unless kind is "swap")
        inputs     [{"sample", "view", "camera"}]    sample folder (from the working directory), view index, rig camera
        targets    [{"sample", "view", "camera", "hash", "is_input"}]     in the order of the item's images

The item folder is a FaceLift sample: view i is the render for target i, RGBA (straight alpha), with the target's
camera.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mousefacelift.chunks import read_index
from mousefacelift.core.cameras import Camera
from mousefacelift.core.images import resize_rgba
from mousefacelift.core.samples import Sample, View, read_sample
from mousefacelift.errors import DataError


@dataclass(frozen=True)
class Prediction:
    """One judged reconstruction.

    Args:
        name, kind, protocol, split, recording, frame, swap_frame: as in the index.
        cameras: rig camera number of each target, T of them.
        is_input: [T] whether the target was shown to the network.
        rendered: T views of the network.
        truth: T true views, at the size of the renders.
        inputs: the input views, at the size of the renders.
        input_cameras: rig camera number of each input.
    """

    name: str
    kind: str
    protocol: str
    split: str
    recording: str
    frame: int
    swap_frame: int | None
    cameras: tuple[int, ...]
    is_input: np.ndarray
    rendered: Sample
    truth: tuple[View, ...]
    inputs: tuple[View, ...]
    input_cameras: tuple[int, ...]


def read_predictions(index: str | Path) -> tuple[dict, list[Prediction]]:
    """Header and predictions of a predictions index.

    Raises:
        DataError: unreadable, empty, or a render whose camera is not its target's.
    """
    document = read_index(index)
    if not document["items"]:
        raise DataError(f"predictions {index} are empty", likely="no validation or test frames in the dataset")
    return document["header"], [_read(Path(index).parent, item) for item in document["items"]]


def _read(root: Path, item: dict) -> Prediction:
    rendered = read_sample(root / item["name"])
    size = rendered.views[0].rgba.shape[:2]
    truth = tuple(_resized(read_sample(t["sample"], [t["view"]]).views[0], size) for t in item["targets"])
    inputs = tuple(_resized(read_sample(i["sample"], [i["view"]]).views[0], size) for i in item["inputs"])
    for view, true, target in zip(rendered.views, truth, item["targets"]):
        if np.abs(view.camera.w2c - true.camera.w2c).max() > 1e-4:
            raise DataError(
                f"prediction {item['name']} was not rendered from its target's camera",
                where=f"target camera {target['camera']}",
                likely="predictions made before the dataset was rebuilt",
                hint="rerun the predict rule",
            )
    return Prediction(
        item["name"],
        item["kind"],
        item["protocol"],
        item["split"],
        item["recording"],
        item["frame"],
        item.get("swap_frame"),
        tuple(t["camera"] for t in item["targets"]),
        np.array([t["is_input"] for t in item["targets"]]),
        rendered,
        truth,
        inputs,
        tuple(i["camera"] for i in item["inputs"]),
    )


def _resized(view: View, size: tuple[int, int]) -> View:
    height, width = size
    if view.rgba.shape[:2] == size:
        return view
    camera: Camera = view.camera.scaled_to(width, height)
    return View(resize_rgba(view.rgba, width, height), camera, view.meta)
