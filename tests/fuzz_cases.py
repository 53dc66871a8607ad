"""Valid files of every kind that the project reads, and their readers, for test_fuzz.py."""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
import yaml

from mousefacelift.capture.readers import FORMATS, read_calibration
from mousefacelift.core.cameras import canonical_fxfycxcy, orbit, ring
from mousefacelift.core.gaussians import Gaussians
from mousefacelift.core.records import SampleFacts, ViewFacts
from mousefacelift.core.samples import Sample, View, read_sample, write_sample
from mousefacelift.core.splat_files import read_ply, read_spz, write_ply, write_spz
from mousefacelift.formats.raw_camera import RawCamera, w2c_of

ROOT = Path(__file__).resolve().parents[1]
REAL = SampleFacts(source="real", recording="m", time_s=0.0, licence="CC0-1.0", config_hash="0" * 16)


@dataclass(frozen=True)
class Case:
    """`build(folder)` writes valid files, `read(folder)` reads them; `only` names those that are mutated."""

    build: Callable[[Path], object]
    read: Callable[[Path], object]
    only: str = "*"


def sample(size=8, views=3, field_of_view=None):
    rng = np.random.default_rng(0)
    images = rng.random((views, size, size, 4)).astype(np.float32)
    cameras = ring(views, size)
    if field_of_view is not None:
        focal = size / 2 / np.tan(np.radians(field_of_view) / 2)
        cameras = [replace(c, fxfycxcy=np.array([focal, focal, size / 2, size / 2])) for c in cameras]
    return Sample(tuple(View(i, c, ViewFacts(camera=k)) for k, (i, c) in enumerate(zip(images, cameras))), REAL)


def gaussians(count=12):
    rng = torch.Generator().manual_seed(0)
    shapes = ((count, 3), (count, 4), (count, 3), (count,), (count, 4, 3))
    return Gaussians(*(torch.rand(shape, generator=rng) * 0.5 + 0.2 for shape in shapes))


def raw_cameras():
    cameras = [orbit(60 * k + 5, 15, 900.0, canonical_fxfycxcy(64), 64, 64) for k in range(4)]
    return [RawCamera(str(k), c.K, c.w2c[:3, :3], c.w2c[:3, 3], width=64, height=64) for k, c in enumerate(cameras)]


def write_json(path, document):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=1))


def build_rig(folder):
    from mousefacelift.capture.lens import Lens
    from mousefacelift.capture.rig import Rig, RigCamera

    cameras = tuple(RigCamera(c.name, w2c_of(c), Lens(c.K), 64, 64) for c in raw_cameras())
    videos = tuple(str(folder / f"videos/{k}.mp4") for k in range(4))
    Rig("m", cameras, videos, videos, 20, 10.0, ([[0, 0]],) * 4).write(folder / "rig.json", folder)


def read_rig(folder):
    from mousefacelift.capture.rig import Rig

    return Rig.read(folder / "rig.json", folder)


def build_track(folder):
    from mousefacelift.capture.track import Track

    centers = np.zeros((3, 3))
    track = Track("m", 10.0, np.arange(3), centers, centers, {5: "none"}, [2], 0.01, np.eye(3), 1.0, 0.5, {})
    track.write(folder / "track.json")


def read_track(folder):
    from mousefacelift.capture.track import Track

    return Track.read(folder / "track.json")


def build_splits(folder):
    from mousefacelift.dataset.config import SplitConfig
    from mousefacelift.dataset.splits import split_recordings

    track = {"recording": "m1", "fps": 10.0, "frames": list(range(40)), "cuts": [], "correlation_time_s": 0.2}
    split_recordings([track], SplitConfig()).write(folder / "splits.json")


def read_splits(folder):
    from mousefacelift.core.splits import Splits

    return Splits.read(folder / "splits.json")


def build_fit(folder):
    gaussians().save(folder / "splat.npz")
    frames = [camera.to_frame("images/cam_000.png") for camera in ring(3, 8)]
    write_json(folder / "fit.json", {"cameras": frames, "parents": ["a"], "warmth": 0})


def build_trust(folder):
    trust = {"angles": [0, 30.0], "errors": [0.1, 0.2], "ratios": [0.5, 1.0], "typical": 0.1, "limit": 0.3}
    write_json(folder / "trust.json", {"trust": trust})


def build_chunk(folder):
    write_sample(folder / "000001", sample())
    write_json(
        folder / "index.json",
        {"key": "k", "header": {"recording": "m"}, "items": [{"name": "000001", "frame": 1, "views": 3}]},
    )


def read_chunk(folder):
    from mousefacelift.distill.photos import list_frames

    return [read_sample(item.folder) for item in list_frames([folder / "index.json"])]


def build_predictions(folder):
    hashes = write_sample(folder / "s/000001", sample())
    write_sample(folder / "p/A-m-000001", sample())
    shown = [{"sample": "../s/000001", "view": 0, "camera": 0, "hash": hashes[0], "is_input": True}]
    targets = [shown[0] | {"view": k, "camera": k, "hash": h, "is_input": k == 0} for k, h in enumerate(hashes)]
    facts = {
        "kind": "target",
        "protocol": "A",
        "split": "val",
        "recording": "m",
        "frame": 1,
        "swap_frame": None,
        "health": {},
    }
    item = {"name": "A-m-000001", **facts, "inputs": shown, "targets": targets}
    write_json(folder / "p/index.json", {"key": "k", "header": {"arm": "a"}, "items": [item]})


def read_all(folder):
    from mousefacelift.check.predictions import read_predictions

    predictions = read_predictions(folder / "p/index.json")
    return [predictions.load(predictions.item(brief)) for brief in predictions.briefs]


def build_manifest(folder):
    from tests.lrm.toy import build_toy_dataset

    build_toy_dataset(folder, size=8, frames=6, objects=1)


def read_manifest(folder):
    from mousefacelift.dataset.manifest import Manifest

    manifest = Manifest.open_verified(folder)
    return [manifest.views_of(row) for row in range(len(manifest))]


def read_pipeline_config(folder):
    from mousefacelift import planning, schema

    path = folder / "config.yaml"
    planning.refuse_repeated_keys([str(path)])
    content = yaml.load(path.read_text(), Loader=yaml.CSafeLoader)
    schema.complete(content if isinstance(content, dict) else {})


def format_case(name):
    from mousefacelift.dataset.exchange import WRITERS, read_folder

    def read(folder):
        return read_folder(name, folder / "scene", REAL)

    return Case(
        lambda folder: WRITERS[name](folder / "scene", sample(field_of_view=49.13 if name == "zero123" else None)), read
    )


def calibration_case(name):
    from tests.capture.test_readers import FILES, FOLDERS

    def build(folder):
        place = folder / "calibration" / FILES[name]
        (place if name in FOLDERS else place.parent).mkdir(parents=True)
        FORMATS[name].write(place, raw_cameras())

    return Case(build, lambda folder: read_calibration(folder / "calibration" / FILES[name], name))


def cases() -> dict[str, Case]:
    """Every reader by name."""
    from mousefacelift.splats.chunk import read_fit
    from mousefacelift.splats.trust_calibration import read_trust

    found = {
        "sample": Case(lambda f: write_sample(f / "s", sample()), lambda f: read_sample(f / "s")),
        "index": Case(build_chunk, read_chunk, "index.json"),
        "rig": Case(build_rig, read_rig),
        "track": Case(build_track, read_track),
        "splits": Case(build_splits, read_splits),
        "trust": Case(build_trust, lambda f: read_trust(f / "trust.json")),
        "fit": Case(build_fit, read_fit),
        "npz": Case(lambda f: gaussians().save(f / "splat.npz"), lambda f: Gaussians.read(f / "splat.npz")),
        "ply": Case(lambda f: write_ply(f / "splat.ply", gaussians()), lambda f: read_ply(f / "splat.ply")),
        "spz": Case(lambda f: write_spz(f / "splat.spz", gaussians()), lambda f: read_spz(f / "splat.spz")),
        "predictions": Case(build_predictions, read_all, "index.json"),
        "manifest": Case(build_manifest, read_manifest, "dataset.json verify.json samples.parquet views.parquet"),
        "config": Case(
            lambda f: (f / "config.yaml").write_text((ROOT / "config.yaml").read_text()), read_pipeline_config
        ),
    }
    found |= {
        f"format {name}": format_case(name) for name in ("nerfstudio", "colmap", "gobjaverse", "zero123", "openlrm")
    }
    return found | {f"calibration {name}": calibration_case(name) for name in FORMATS}
