"""One object -> one sample folder: load, check, normalise, render, write. Also one frame of a scan.

Part of the objects stage. These functions run inside the sandbox's worker for foreign files, in the job itself for
meshes that the project made.
"""

import time
from pathlib import Path

import numpy as np

from mousefacelift.config import config_hash
from mousefacelift.core.records import ItemRow, SampleFacts
from mousefacelift.core.samples import Sample, View, write_sample
from mousefacelift.objects.backends import render
from mousefacelift.objects.config import ObjectsConfig
from mousefacelift.objects.download import local_path
from mousefacelift.objects.inspect import inspect_asset
from mousefacelift.objects.light import Light, make_light
from mousefacelift.objects.load import load_mesh
from mousefacelift.objects.mesh import Mesh, check_mesh, normalise
from mousefacelift.objects.procedural import procedural_object
from mousefacelift.objects.seen import check_seen, check_textures
from mousefacelift.objects.views import object_cameras


def make_object(item: dict, config: ObjectsConfig, seed: int, folder: Path, threads: int = 1) -> dict:
    """Render one row of a selection into `folder` and return its row for the index.

    Args:
        item: a row of selection.json; a `path` names a file, a `number` an object of the procedural collection.
        folder: of the item, which the sample is put into.
    Raises:
        DataError: the asset is refused; says why.
    """
    started = time.perf_counter()
    if "number" in item:
        mesh = procedural_object(seed, item["number"], config.ingredients)
    else:
        path = asset_path(item, config)
        inspect_asset(path, config.limits)
        mesh = load_mesh(path)
    check_mesh(mesh, item["uid"])
    check_textures(mesh, item["uid"])
    mesh, similarity = normalise(mesh)
    loaded = time.perf_counter()
    number = int(item["name"])
    light = object_light(config, [seed, number])
    cameras = object_cameras(config.views, config.size, [seed, number, 1])
    facts = SampleFacts(
        "object",
        asset=item["uid"],
        licence=item.get("license", "unknown"),
        seed=seed,
        config_hash=config_hash([config.views, config.light, config.size, config.supersampling, config.backend]),
        details={
            "collection": mesh.meta.get("collection", "objaverse" if "group" in item else "local"),
            "family": mesh.meta.get("family"),
            "backend": config.backend,
            "similarity": {"scale": similarity.scale, "translation": similarity.translation.tolist()},
            "faces": len(mesh.faces),
        },
    )
    coverage = write_views(mesh, cameras, light, config, facts, folder, threads, whole=config.views.ring)
    details = {
        "uid": item["uid"],
        "licence": facts.licence,
        "faces": len(mesh.faces),
        "coverage": coverage,
        "load_s": round(loaded - started, 3),
        "total_s": round(time.perf_counter() - started, 3),
        "mb": round(folder_megabytes(folder), 3),
    }
    return ItemRow(len(cameras), details=details).to_row()


def asset_path(item: dict, config: ObjectsConfig) -> Path:
    """The file of a selected object: its own path, or its place in the download folder."""
    return Path(item["path"]) if "path" in item else local_path(item, config.download)


def object_light(config: ObjectsConfig, seed: list[int]) -> Light:
    """The configured light, varied by the object's own seed where that is asked for."""
    chosen = int(np.random.default_rng([*seed, 2]).integers(2**31)) if config.light.vary else None
    return make_light(config.light.kind, config.light.environment, config.light.strength, chosen)


def write_views(
    mesh: Mesh,
    cameras,
    light: Light,
    config: ObjectsConfig,
    facts: SampleFacts,
    folder: Path,
    threads: int,
    whole: int,
) -> float:
    """Render, check and write a sample; returns the mean share of the image that the object covers.

    Args:
        whole: how many of the first cameras see the whole object (see `check_seen`).
    Raises:
        DataError: a view shows nothing, or a part only.
    """
    pictures = render(mesh, cameras, light, config, threads)
    alphas = np.stack([picture[..., 3] for picture in pictures])
    check_seen(alphas / np.float32(255), whole, facts.asset)
    write_sample(folder, Sample(tuple(View(*pair) for pair in zip(pictures, cameras)), facts), into=True)
    return round(float(alphas.mean() / 255), 4)


def folder_megabytes(folder: Path) -> float:
    """Size of a folder's files, MB of 10^6 bytes."""
    return sum(p.stat().st_size for p in folder.rglob("*") if p.is_file()) / 1e6
