"""A toy rig: a coloured ellipsoid with a nose, seen by six cameras, with known truth from any camera."""

import json

import numpy as np
import pytest

from mousefacelift.core.cameras import canonical_fxfycxcy, orbit, project
from mousefacelift.core.records import ItemRow, SampleFacts, ViewFacts
from mousefacelift.core.samples import Sample, View, write_sample
from mousefacelift.core.splits import Splits

RIG = ((-142.9, 8), (29.9, 22), (96.1, 10), (-25.3, 8), (160.0, 22), (-78.8, 24))


def toy_points(heading: float) -> tuple[np.ndarray, np.ndarray]:
    """Surface points and colours of an animal of length 1 that heads to an azimuth (degrees): light nose, dark tail
    end."""
    rng = np.random.default_rng(0)
    ball = rng.normal(size=(6000, 3))
    ball /= np.linalg.norm(ball, axis=1, keepdims=True)
    body = ball * [0.5, 0.2, 0.22] + [0, 0, 0]
    body[:, 1:] *= 1.1 - 0.8 * body[:, :1]  # the nose is thin, the rump is thick
    colours = np.clip(np.stack([0.35 + body[:, 0] * 0.6, 0.3 + body[:, 1], 0.3 + body[:, 2]], 1), 0.05, 0.95)
    a = np.radians(heading)
    turn = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
    return body @ turn.T, colours


def toy_view(camera, heading: float, facts: ViewFacts | None = None) -> View:
    """The toy animal as a view: far points first, each a square of 3 pixels."""
    points, colours = toy_points(heading)
    pixels, depth = project(camera, points)
    rgba = np.zeros((camera.height, camera.width, 4), np.float32)
    for i in np.argsort(-depth):
        x, y = np.floor(pixels[i]).astype(int)
        if 1 <= x < camera.width - 1 and 1 <= y < camera.height - 1:
            rgba[y - 1 : y + 2, x - 1 : x + 2] = [*colours[i], 1.0]
    return View(rgba, camera, facts or ViewFacts())


def toy_photos(heading: float, size: int = 64) -> list[View]:
    """Six photos of one instant."""
    return [
        toy_view(orbit(az, el, 2.7, canonical_fxfycxcy(size), size, size), heading, ViewFacts(k))
        for k, (az, el) in enumerate(RIG)
    ]


@pytest.fixture(scope="session")
def toy_chunk(tmp_path_factory):
    """Folder with a capture chunk of 10 frames (index.json) and splits.json: 6 train, 1 guard, 3 val."""
    root = tmp_path_factory.mktemp("toy")
    items = []
    for frame in range(10):
        sample = Sample(
            tuple(toy_photos(frame * 36.0)),
            SampleFacts("real", "toy", frame=frame, time_s=frame / 10, config_hash="toy"),
        )
        hashes = tuple(write_sample(root / "chunk" / f"{frame:06d}", sample))
        items.append({"name": f"{frame:06d}"} | ItemRow(len(hashes), frame, hashes=hashes).to_row())
    (root / "chunk/index.json").write_text(
        json.dumps({"key": "toy", "header": {"recording": "toy", "source": "real"}, "items": items})
    )
    labels = {f: "train" if f < 6 else "guard" if f == 6 else "val" for f in range(10)}
    facts = {"toy": {"fps": 10.0, "guard_s": 0.1, "correlation_time_s": 0.1}}
    Splits({"toy": labels}, held_out_camera=5, facts=facts).write(root / "splits.json")
    return root
