"""A toy dataset for training tests: two-ball animals ray-cast from six cameras, in the project's own formats."""

import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from mousefacelift.core.cameras import azimuth_elevation, canonical_fxfycxcy, orbit, rays, ring
from mousefacelift.core.records import SampleFacts, ViewFacts
from mousefacelift.core.samples import Sample, View, write_sample
from mousefacelift.dataset.schema import CAMERA_COLUMNS, SAMPLES, SCHEMA_VERSION, VIEWS

HELD_OUT = 5


def cast_balls(camera, heading, color):
    """rgba [H, W, 4] of a big and a small ball; the small one lies at `heading` degrees."""
    angle = np.radians(heading)
    balls = [
        (np.zeros(3), 0.45, np.array(color)),
        (0.6 * np.array([np.cos(angle), np.sin(angle), 0.2]), 0.3, 1 - np.array(color)),
    ]
    origin, direction = rays(camera)
    rgba, nearest = (
        np.zeros((camera.height, camera.width, 4), np.float32),
        np.full((camera.height, camera.width), np.inf),
    )
    for center, radius, tint in balls:
        along = direction @ (center - origin)
        gap2 = ((origin - center) ** 2).sum() - along**2
        hit = gap2 < radius**2
        depth = np.where(hit, along - np.sqrt(np.clip(radius**2 - gap2, 0, None)), np.inf)
        front = depth < nearest
        normal = (origin + np.where(hit, depth, 0)[..., None] * direction - center) / radius
        rgba[front, :3] = (tint * (0.6 + 0.4 * normal[..., 2:]))[front]
        rgba[front, 3], nearest = 1.0, np.minimum(depth, nearest)
    return rgba


def rig(size):
    return [orbit(60 * i + 7, 8 if i % 2 else 22, 2.7, canonical_fxfycxcy(size), size, size) for i in range(6)]


def build_toy_dataset(folder, size=32, frames=24, objects=6, with_objects=True, seed=0, cameras=6):
    """A verified dataset: `frames` real samples of the first `cameras` (first half train, then guard, val, test) and
    `objects` object samples."""
    folder.mkdir(parents=True, exist_ok=True)
    rng, rows, views = np.random.default_rng(seed), [], []
    color = (0.8, 0.3, 0.2)
    for frame in range(frames):
        split = "train" if frame < frames // 2 else "val" if frame < frames - 4 else "test"
        images = [
            View(cast_balls(c, 360 * frame / frames * 2.3, color), c, ViewFacts(i))
            for i, c in enumerate(rig(size)[:cameras])
        ]
        add_sample(folder, rows, views, f"real/{frame:06d}", "real", split, frame, images)
    for number in range(objects if with_objects else 0):
        heading, tint = rng.uniform(0, 360), rng.random(3)
        images = [View(cast_balls(c, heading, tint), c) for c in ring(8, size)]
        add_sample(folder, rows, views, f"objects/{number:04d}", "object", "train", 0, images)
    write_tables(folder, rows, views)
    return folder


def add_sample(folder, rows, views, name, source, split, frame, images):
    facts = SampleFacts(source, "toy", frame=frame, config_hash="toy")
    view_rows(
        rows, views, name, source, split, frame, images, write_sample(folder / name, Sample(tuple(images), facts))
    )


def view_rows(rows, views, name, source, split, frame, images, hashes):
    """Append the rows of one sample that is written."""
    rows.append(
        {
            "folder": name,
            "source": source,
            "set": "",
            "recording": "toy" if source == "real" else name,
            "subject": "m1",
            "frame": frame,
            "time_s": frame / 10,
            "split": split,
            "first_view": len(views),
            "views": len(images),
            "weight": 1.0,
            "decision": "accepted",
            "reason": "",
        }
    )
    for index, (view, digest) in enumerate(zip(images, hashes)):
        azimuth, elevation, distance = azimuth_elevation(view.camera)
        camera = -1 if view.facts.camera is None else view.facts.camera
        numbers = [view.camera.width, view.camera.height, *view.camera.fxfycxcy, *view.camera.w2c[:3].ravel()]
        held = camera == HELD_OUT
        protocol = {"train": "B" if held else "train", "guard": "none"}.get(split, "C" if held else "A")
        views.append(
            {
                "sample": len(rows) - 1,
                "view": index,
                "owner": len(rows) - 1,
                "index": index,
                "file": f"images/cam_{index:03d}.png",
                "source": source,
                "camera": camera,
                "held_out": held,
                "protocol": protocol if source == "real" else "none",
                **dict(zip(CAMERA_COLUMNS, numbers)),
                "azimuth": azimuth,
                "elevation": elevation,
                "distance": distance,
                "score": 1.0,
                "weight": 1.0,
                "seed": -1,
                "hash": bytes.fromhex(digest),
            }
        )


def write_tables(folder, rows, views):
    for name, schema, table in (("samples", SAMPLES, rows), ("views", VIEWS, views)):
        frame = pd.DataFrame(table)
        columns = {}
        for column in schema:
            kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
            empty = "" if pa.types.is_string(kind) else float("nan") if pa.types.is_floating(kind) else 0
            values = frame[column.name].tolist() if column.name in frame else [empty] * len(frame)
            columns[column.name] = (
                pa.array(values, kind).cast(column.type) if kind != column.type else pa.array(values, kind)
            )
        pq.write_table(pa.table(columns, schema=schema), folder / f"{name}.parquet")
    header = {"schema": SCHEMA_VERSION, "build": "toy", "counts": {"samples": len(rows), "view_rows": len(views)}}
    (folder / "dataset.json").write_text(json.dumps(header))
    (folder / "verify.json").write_text(json.dumps({"build": "toy", "passed": True, "problems": []}))
