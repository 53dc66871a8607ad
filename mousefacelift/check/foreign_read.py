"""Reconstructions of other methods, as they lie in a folder: splats, meshes, or rendered views, one entry per moment.

    000037.ply   mouse1-000037.spz   frame_37.glb      a splat or a mesh in any world
    000037/opencv_cameras.json + images                views rendered from the method's own cameras (FaceLift's layout)
    000037/cam_003.png ...                             views rendered from the true cameras, by rig camera number

The last number in a name is the frame; a name that begins with a recording's name belongs to it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from mousefacelift.core.files import readable
from mousefacelift.core.gaussians import Gaussians
from mousefacelift.core.images import read_rgba
from mousefacelift.core.samples import CAMERAS_FILE
from mousefacelift.core.splat_files import read_ply, read_spz, read_vertices
from mousefacelift.errors import DataError

SPLATS = (".ply", ".spz", ".npz")
MESHES = (".glb", ".gltf", ".obj", ".stl")
DISKS = 20_000  # that a mesh is covered with
DISK_WIDTH = 0.75  # standard deviation of a disk in units of the distance between disks
THICKNESS = 0.05  # of a disk, in units of its width
OPACITY = 0.99


@dataclass(frozen=True)
class Entry:
    """One moment's answer: `kind` is solid (a file with a splat or a mesh), rendered (cameras and images) or pictures
    (images by rig camera)."""

    recording: str
    frame: int
    kind: str
    path: Path


def list_entries(folder: Path, recordings: list[str]) -> list[Entry]:
    """What a folder holds, by recording and frame.

    Raises:
        DataError: no folder, nothing that can be read, or a name without a frame or with an unknown recording.
    """
    if not folder.is_dir():
        raise DataError(f"predictions {folder} are no folder", expected="one file or folder per moment")
    found = [(path, _kind(path)) for path in sorted(folder.iterdir()) if not path.name.startswith(".")]
    entries = [Entry(*_moment(path, recordings), kind[0], kind[1]) for path, kind in found if kind is not None]
    if not entries:
        raise DataError(
            f"predictions {folder} hold nothing that can be read",
            got=", ".join(path.name for path, _ in found[:5]) or "nothing",
            expected=f"files {' '.join((*SPLATS, *MESHES))}, or folders of views, named by their frame",
        )
    moments = [(entry.recording, entry.frame) for entry in entries]
    twice = sorted({moment for moment in moments if moments.count(moment) > 1})
    if twice:
        raise DataError(f"predictions {folder} answer a moment twice", got=f"{twice[0][0]}, frame {twice[0][1]}")
    return entries


def _kind(path: Path) -> tuple[str, Path] | None:
    if path.is_file():
        return ("solid", path) if path.suffix.lower() in (*SPLATS, *MESHES) else None
    if (path / CAMERAS_FILE).is_file():
        return "rendered", path
    solids = sorted(file for file in path.iterdir() if file.suffix.lower() in (*SPLATS, *MESHES))
    if len(solids) > 1:
        raise DataError(
            f"folder {path} holds several solids", got=", ".join(f.name for f in solids), expected="one per moment"
        )
    if solids:
        return "solid", solids[0]
    return ("pictures", path) if any(path.glob("*.png")) else None


def _moment(path: Path, recordings: list[str]) -> tuple[str, int]:
    name = path.stem if path.is_file() else path.name
    own = [r for r in sorted(recordings, key=len, reverse=True) if re.match(rf"{re.escape(r)}(?![A-Za-z0-9])", name)]
    rest = name[len(own[0]) :] if own else name
    numbers = re.findall(r"\d+", rest)
    if not numbers:
        raise DataError(f"prediction {path} does not say its frame", expected="a number in its name: 000037.ply")
    if not own and len(recordings) != 1:
        raise DataError(
            f"prediction {path} does not say its recording",
            expected=f"a name that begins with one of {', '.join(recordings)}",
        )
    return (own[0] if own else recordings[0]), int(numbers[-1])


def read_solid(path: Path) -> Gaussians:
    """Gaussians [N] of a splat, or of a mesh covered with disks.

    Raises:
        DataError: a file that cannot be read.
    """
    suffix = path.suffix.lower()
    if suffix == ".npz":
        return Gaussians.read(path)
    if suffix == ".spz":
        return read_spz(path)
    if suffix == ".ply":
        with readable(path, "splat"):
            names = read_vertices(path).dtype.names
        if names and "opacity" in names:
            return read_ply(path)
    return cover_mesh(path)


def cover_mesh(path: Path, count: int = DISKS) -> Gaussians:
    """A mesh as `count` flat Gaussians spread evenly over its surface, in its texture's or vertices' colours."""
    import trimesh

    with readable(path, "mesh"):
        mesh = trimesh.load(path, force="mesh")
        if not isinstance(mesh, trimesh.Trimesh) or not len(mesh.faces):
            raise ValueError("no faces")
        if mesh.visual is None or not mesh.visual.defined:
            mesh.visual = trimesh.visual.ColorVisuals(mesh, face_colors=[128, 128, 128, 255])
        points, faces, colours = trimesh.sample.sample_surface(mesh, count, sample_color=True, seed=0)
    width = DISK_WIDTH * float(np.sqrt(mesh.area / count))
    scales = torch.tensor([width, width, THICKNESS * width]).expand(count, 3)
    return Gaussians.from_rgb(
        torch.from_numpy(np.asarray(points)).float(),
        turn_to(torch.from_numpy(np.asarray(mesh.face_normals[faces])).float()),
        scales.clone(),
        torch.full((count,), OPACITY),
        torch.from_numpy(np.asarray(colours)[:, :3] / 255.0).float(),
    )


def turn_to(normals: torch.Tensor) -> torch.Tensor:
    """Quaternions wxyz [N, 4] of the shortest turn of +z onto unit normals [N, 3]."""
    x, y, z = normals.unbind(-1)
    quats = torch.stack([1 + z, -y, x, torch.zeros_like(z)], -1)
    down = z < -0.999999  # any turn by 180 degrees will do
    quats[down] = torch.tensor([0.0, 1.0, 0.0, 0.0])
    return torch.nn.functional.normalize(quats, dim=-1)


def read_pictures(folder: Path, white_is_empty: bool) -> dict[int, np.ndarray]:
    """Rig camera -> rgba [H, W, 4] of the files of a folder, by the last number in their names.

    Args:
        white_is_empty: a picture without alpha is foreground where it is not white. Never guessed: white fur vanishes.
    """
    found = {}
    for path in sorted(folder.glob("*.png")):
        numbers = re.findall(r"\d+", path.stem)
        if not numbers:
            raise DataError(f"picture {path} does not say its camera", expected="cam_003.png: a rig camera's number")
        found[int(numbers[-1])] = _on_white(path) if white_is_empty else read_rgba(path)
    return found


def _on_white(path: Path) -> np.ndarray:
    from PIL import Image

    with readable(path, "image"):
        rgb = np.asarray(Image.open(path).convert("RGB"), np.float32) / 255
    return np.dstack([rgb, (rgb.min(-1) < 1 - 2 / 255).astype(np.float32)])
