"""Frames of a mesh sequence -> samples of source `scan`, with the truth mesh kept in each sample folder.

Part of the objects stage, command `objects scans`. `truth.npz` holds vertices, faces and normals in the sample's world (the
world of its cameras), for Chamfer distance and normals.
"""

import time
from functools import partial
from pathlib import Path

import numpy as np

from mousefacelift.chunks import run_chunk
from mousefacelift.config import config_hash
from mousefacelift.core.cameras import ring
from mousefacelift.core.similarity import Similarity
from mousefacelift.errors import ConfigError
from mousefacelift.objects.config import ObjectsConfig
from mousefacelift.objects.make import folder_megabytes, object_light, write_views
from mousefacelift.objects.mesh import check_mesh, transform_mesh, unit_sphere
from mousefacelift.objects.sequence import MeshSequence, open_sequence


def scan_frames(count: int, config: ObjectsConfig, frames: range | None = None) -> list[int]:
    """The frames to render: of `frames` (or all), at most `config.scans.frames`, evenly spread."""
    chosen = list(range(count))[frames.start : frames.stop : frames.step] if frames else list(range(count))
    limit = config.scans.frames
    if limit is not None and limit < len(chosen):
        chosen = [chosen[k] for k in np.unique(np.linspace(0, len(chosen) - 1, limit).round().astype(int))]
    return chosen


def sequence_radius(sequence: MeshSequence, frames: list[int]) -> float:
    """The largest radius of a frame about the middle of its bounds, in the sequence's unit."""
    return max(1.0 / unit_sphere(sequence.mesh(frame).used_vertices).scale for frame in frames)


def render_scans(path: Path, name: str, config: ObjectsConfig, seed: int, out: Path, *, poses: Path | None = None,
                 frames: range | None = None, independent: bool = False, threads: int = 1) -> dict:  # fmt: skip
    """Render frames of the sequence at `path` into `out`'s folder; returns the index.

    Args:
        name: of the sequence; for a recording's truth the recording's name, so that its frames keep their split.
        frames: a chunk's frames; None for the whole sequence. The scale is that of these frames' sequence as a whole.
        independent: the sequence shows no recording: the dataset splits it by its name, as it does an object.
    """
    sequence = open_sequence(path, poses)
    if frames is not None and frames.start >= sequence.count:
        raise ConfigError("the sequence has fewer frames", where=str(path), got=frames.start, expected=f"below {sequence.count}")
    radius = None
    if config.scans.extent == "sequence":
        radius = sequence_radius(sequence, scan_frames(sequence.count, config))
    chosen = scan_frames(sequence.count, config, frames)
    key = config_hash([config.scans, config.size, config.supersampling, config.light, config.backend, name, seed, chosen, radius,
                       independent])
    make = partial(make_scan, sequence=sequence, name=name, config=config, seed=seed, radius=radius,
                   independent=independent, threads=threads)
    header = {"source": "scan", "recording": name, "form": sequence.meta["form"], "seed": seed, "size": config.size}
    return run_chunk(out, key, [(f"{frame:06d}", frame) for frame in chosen], make_named(make), header, label="frames")


def make_named(make):
    """`make` without the item's name, which repeats the frame number."""
    return lambda _, frame, folder: make(frame, folder)


def make_scan(frame: int, folder: Path, *, sequence: MeshSequence, name: str, config: ObjectsConfig, seed: int,
              radius: float | None, independent: bool, threads: int) -> dict:  # fmt: skip
    """One frame: normalise, render, write the sample and its truth mesh; returns the index row."""
    started = time.perf_counter()
    mesh = sequence.mesh(frame)
    check_mesh(mesh, f"{name}, frame {frame}")
    fitted = unit_sphere(mesh.used_vertices)
    scale = fitted.scale if radius is None else min(1.0 / radius, fitted.scale)
    similarity = Similarity(scale, np.eye(3), fitted.translation * scale / fitted.scale)
    mesh = transform_mesh(mesh, similarity)
    cameras = ring(config.scans.views, config.size, config.views.elevation, config.views.distance)
    meta = {
        "source": "scan", **({} if independent else {"recording": name}), "asset": name, "frame": frame,
        "licence": sequence.meta.get("licence", "unknown"),
        "collection": sequence.meta["form"], "seed": seed, "backend": config.backend, "truth": "truth.npz",
        "config_hash": config_hash([config.scans, config.light, config.size, config.supersampling, config.backend]),
        "similarity": {"scale": similarity.scale, "translation": similarity.translation.tolist()},
    }  # fmt: skip
    if sequence.time_s is not None:
        meta["time_s"] = float(sequence.time_s[frame])
    coverage = write_views(mesh, cameras, object_light(config, [seed, 0]), config, meta, folder, threads)
    np.savez_compressed(folder / "truth.npz", vertices=mesh.vertices.astype(np.float32), faces=mesh.faces, normals=mesh.normals)
    return {
        "status": "done", "uid": f"{name}/{frame:06d}", "frame": frame, "views": len(cameras), "faces": len(mesh.faces),
        "coverage": coverage, "total_s": round(time.perf_counter() - started, 3), "mb": round(folder_megabytes(folder), 3),
    }  # fmt: skip
