"""Frames of a mesh sequence -> samples of source `scan`, with the truth mesh kept in each sample folder.

Part of the objects stage, command `objects scans`. `truth.npz` holds vertices, faces and normals in the sample's world
(the world of its cameras), for Chamfer distance and normals.
"""

import time
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from mousefacelift.chunks import run_chunk
from mousefacelift.config import config_hash
from mousefacelift.core.cameras import ring
from mousefacelift.core.records import ItemRow, SampleFacts
from mousefacelift.core.samples import TRUTH_FILE
from mousefacelift.core.similarity import Similarity
from mousefacelift.core.spread import spread
from mousefacelift.errors import ConfigError, DataError
from mousefacelift.objects.batch import empty_row
from mousefacelift.objects.config import ObjectsConfig
from mousefacelift.objects.inspect import inspect_asset
from mousefacelift.objects.make import folder_megabytes, object_light, write_views
from mousefacelift.objects.mesh import Mesh, check_mesh, transform_mesh, unit_sphere
from mousefacelift.objects.sandbox import DONE, Sandbox, refusal
from mousefacelift.objects.sequence import MeshSequence, open_sequence

MEASURED_FRAMES = 100  # at most so many frames, evenly spread, decide the one scale of a sequence


@dataclass(frozen=True)
class Scan:
    """What makes a frame of a mesh sequence a sample.

    Attributes:
        path, poses: of the sequence. name: its name.
        independent: it shows no recording: the dataset splits it by its name, as it does an object.
        seed: of the light.
    """

    path: Path
    poses: Path | None
    name: str
    independent: bool
    config: ObjectsConfig
    seed: int
    threads: int = 1


@lru_cache(maxsize=1)
def opened(path: Path, poses: Path | None) -> MeshSequence:
    """The sequence, kept open by a worker from one frame to the next."""
    return open_sequence(path, poses)


def read_frame(scan: Scan, frame: int) -> Mesh:
    """The checked mesh of one frame, in the sequence's unit.

    Raises:
        DataError: the frame cannot be drawn; says why.
    """
    sequence = opened(scan.path, scan.poses)
    if sequence.files:
        inspect_asset(sequence.files[frame], scan.config.limits)
    mesh = sequence.mesh(frame)
    check_mesh(mesh, f"{scan.name}, frame {frame}")
    return mesh


def measure_frame(scan: Scan, frame: int) -> dict:
    """Row with the `radius` of a frame about the middle of its bounds, in the sequence's unit."""
    return {"status": DONE, "radius": 1.0 / unit_sphere(read_frame(scan, frame).used_vertices).scale}


def sequence_radius(scan: Scan, count: int, run) -> float:
    """The largest radius of at most MEASURED_FRAMES frames of a sequence of `count`; frames that cannot be read do not
    count.

    Raises:
        DataError: not one can be read.
    """
    frames = spread(count, MEASURED_FRAMES)
    rows = [run(measure_frame, scan, int(frame)) for frame in frames]
    radii = [row["radius"] for row in rows if row["status"] == DONE]
    if not radii:
        raise DataError("no frame of the sequence can be read", where=str(scan.path), got=rows[0]["reason"])
    return max(radii)


def render_scans(scan: Scan, out: Path, frames: range | None = None) -> dict:
    """Render frames of a sequence into `out`'s folder; returns the index.

    The project's own meshes are read here, a user's files in the sandbox: a bad frame is a row with its reason.

    Args:
        frames: a chunk's frames; None for the whole sequence. The scale is that of the sequence as a whole.
    Raises:
        DataError: not a mesh sequence. ConfigError: it has fewer frames than asked for.
    """
    sequence, config = open_sequence(scan.path, scan.poses), scan.config
    chosen = range(sequence.count) if frames is None else frames
    if chosen[-1] >= sequence.count:
        raise ConfigError(
            "the sequence has fewer frames",
            where=str(scan.path),
            got=sequence.count,
            expected=f"at least {chosen[-1] + 1}",
        )
    with Sandbox(config.limits) as sandbox:
        run = sandbox.run if sequence.meta["form"] != "truth" else run_here
        radius = sequence_radius(scan, sequence.count, run) if config.scans.extent == "sequence" else None

        def make(name: str, frame: int, folder: Path) -> dict:
            row = run(make_scan, scan, frame, radius, folder)
            return row if row["status"] == DONE else empty_row(row, f"{scan.name}/{name}", frame)

        key = config_hash(
            [
                config.scans.views,
                config.scans.extent,
                config.views,
                config.size,
                config.supersampling,
                config.light,
                config.backend,
                scan.name,
                scan.seed,
                list(chosen),
                radius,
                scan.independent,
            ]
        )
        header = {
            "source": "scan",
            "recording": scan.name,
            "form": sequence.meta["form"],
            "seed": scan.seed,
            "size": config.size,
        }
        return run_chunk(out, key, [(f"{frame:06d}", frame) for frame in chosen], make, header, label="frames")


def run_here(function, *args) -> dict:
    """The function's row without a sandbox: for the project's own meshes."""
    try:
        return function(*args)
    except DataError as error:
        return refusal(error)


def make_scan(scan: Scan, frame: int, radius: float | None, folder: Path) -> dict:
    """One frame: normalise, render, write the sample and its truth mesh; returns the index row."""
    started = time.perf_counter()
    sequence, config, mesh = opened(scan.path, scan.poses), scan.config, read_frame(scan, frame)
    fitted = unit_sphere(mesh.used_vertices)
    scale = fitted.scale if radius is None else min(1.0 / radius, fitted.scale)
    similarity = Similarity(scale, np.eye(3), fitted.translation * scale / fitted.scale)
    mesh = transform_mesh(mesh, similarity)
    cameras = ring(config.scans.views, config.size, config.views.elevation, config.views.distance)
    facts = SampleFacts(
        "scan",
        recording="" if scan.independent else scan.name,
        asset=scan.name,
        frame=frame,
        time_s=None if sequence.time_s is None else float(sequence.time_s[frame]),
        licence=sequence.meta.get("licence", "unknown"),
        seed=scan.seed,
        config_hash=config_hash(
            [
                config.scans.views,
                config.scans.extent,
                config.views,
                config.light,
                config.size,
                config.supersampling,
                config.backend,
            ]
        ),
        details={
            "collection": sequence.meta["form"],
            "backend": config.backend,
            "truth": TRUTH_FILE,
            "similarity": {"scale": similarity.scale, "translation": similarity.translation.tolist()},
        },
    )
    light = object_light(config, [scan.seed, 0])
    coverage = write_views(mesh, cameras, light, config, facts, folder, scan.threads, whole=len(cameras))
    np.savez_compressed(
        folder / TRUTH_FILE, vertices=mesh.vertices.astype(np.float32), faces=mesh.faces, normals=mesh.normals
    )
    details = {
        "uid": f"{scan.name}/{frame:06d}",
        "faces": len(mesh.faces),
        "coverage": coverage,
        "total_s": round(time.perf_counter() - started, 3),
        "mb": round(folder_megabytes(folder), 3),
    }
    return ItemRow(len(cameras), frame, details=details).to_row()
