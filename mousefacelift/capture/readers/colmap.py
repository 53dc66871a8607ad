"""COLMAP models as rigs: one camera per folder of images, per lens, or per image; poses over frames must agree."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path, PurePosixPath

import numpy as np

from mousefacelift.capture.readers.about import About
from mousefacelift.errors import CalibrationError
from mousefacelift.formats.colmap import ModelImage, is_model, read_images, write_model
from mousefacelift.formats.entries import natural_key
from mousefacelift.formats.raw_camera import RawCamera

NAME = "colmap"
ABOUT = About(
    "COLMAP, pycolmap, GLOMAP",
    "4.2.1 (pycolmap wrote it; text, binary, rigs with frames)",
    "open (arbitrary scale)",
    "R t world to camera, quaternion w x y z",
    "0.5",
    "folder with cameras and images, .txt or .bin",
)
SAME_TURN, SAME_PLACE = 1e-4, 1e-3  # of the rotation's entries; of the rig's size: bundle adjustment leaves 1e-9


def matches(path: Path) -> bool:
    return is_model(path)


def read(path: Path) -> list[RawCamera]:
    images = sorted(read_images(path), key=lambda image: natural_key(image.name))
    stems = [PurePosixPath(image.name).stem for image in images]
    folders = {str(PurePosixPath(image.name).parent) for image in images}
    unique = len(set(stems)) == len(stems)
    if len(folders) > 1:
        groups = _grouped(images, lambda image: str(PurePosixPath(image.name).parent))
        if not unique or all(_agree(group, images) for group in groups.values()):
            return _one_each(groups, images, path, _short_names(list(groups)))
    lenses = _grouped(images, lambda image: image.lens)
    if len(lenses) < len(images) and all(_agree(group, images) for group in lenses.values()):
        names = [_common_name(group) or str(key) for key, group in lenses.items()]
        return _one_each(lenses, images, path, names if len(set(names)) == len(names) else list(map(str, lenses)))
    return [replace(image.camera, name=stem) for image, stem in zip(images, stems)]


def _grouped(images: list[ModelImage], key: Callable) -> dict:
    groups: dict = {}
    for image in images:
        groups.setdefault(key(image), []).append(image)
    return groups


def _agree(group: list[ModelImage], images: list[ModelImage]) -> bool:
    """Whether all images of the group have one pose and one lens."""
    size = np.ptp([-image.camera.R.T @ image.camera.t for image in images], axis=0).max()
    first = group[0].camera
    return all(
        np.abs(image.camera.R - first.R).max() < SAME_TURN
        and np.abs(image.camera.t - first.t).max() < SAME_PLACE * max(size, 1e-12)
        and np.allclose(image.camera.K, first.K, rtol=1e-6)
        and np.allclose(image.camera.distortion, first.distortion)
        and image.camera.model == first.model
        for image in group
    )


def _one_each(groups: dict, images: list[ModelImage], path: Path, names: list[str]) -> list[RawCamera]:
    for name, group in zip(names, groups.values()):
        if not _agree(group, images):
            raise CalibrationError(
                f"camera {name} of COLMAP model {path} moves from image to image",
                got=f"{len(group)} images with different poses or lenses",
                expected="one pose and one lens per camera of a fixed rig",
                likely="frames reconstructed without a rig",
                hint="register one frame only, or give COLMAP the rig (colmap rig_configurator)",
            )
    return [replace(group[0].camera, name=name) for name, group in zip(names, groups.values())]


def _short_names(folders: list[str]) -> list[str]:
    """Last part of each folder, or as much of it as tells them apart."""
    last = [PurePosixPath(folder).name for folder in folders]
    return last if len(set(last)) == len(last) else folders


def _common_name(group: list[ModelImage]) -> str:
    stems = [PurePosixPath(image.name).stem for image in group]
    return os.path.commonprefix(stems).rstrip("_-. 0") if len(stems) > 1 else stems[0]


def write(path: Path, cameras: list[RawCamera], binary: bool = False) -> None:
    write_model(path, [(f"{camera.name}.png", camera) for camera in cameras], binary)
