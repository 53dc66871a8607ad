"""COLMAP sparse models, text or binary: lenses, poses and names of images; written as text or binary, with points.

w2c quaternions, pixel centres at +0.5 (as here). The models of the fisheye family are OPENCV_FISHEYE with zeros; a
model that is neither that nor Brown's polynomial is refused by name. Since COLMAP 3.12 rigs.* and frames.* lie beside
the images; every image still carries its whole pose, so they are not needed.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from mousefacelift.errors import CalibrationError
from mousefacelift.formats.raw_camera import RawCamera

# names by number, and parameters after (f | fx fy) cx cy; COLMAP's src/colmap/sensor/models.h, checked with 4.2.1
SINGLE_FOCAL = (
    "SIMPLE_PINHOLE",
    "SIMPLE_RADIAL",
    "RADIAL",
    "SIMPLE_RADIAL_FISHEYE",
    "RADIAL_FISHEYE",
    "SIMPLE_FISHEYE",
)
MODELS = {
    "SIMPLE_PINHOLE": (0, 0),
    "PINHOLE": (1, 0),
    "SIMPLE_RADIAL": (2, 1),
    "RADIAL": (3, 2),
    "OPENCV": (4, 4),
    "OPENCV_FISHEYE": (5, 4),
    "FULL_OPENCV": (6, 8),
    "SIMPLE_RADIAL_FISHEYE": (8, 1),
    "RADIAL_FISHEYE": (9, 2),
    "THIN_PRISM_FISHEYE": (10, 8),
    "SIMPLE_FISHEYE": (14, 0),
    "FISHEYE": (15, 0),
}
REFUSED = {
    7: "FOV",
    11: "RAD_TAN_THIN_PRISM_FISHEYE",
    12: "SIMPLE_DIVISION",
    13: "DIVISION",
    16: "EUCM",
    17: "EQUIRECTANGULAR",
}


@dataclass(frozen=True)
class ModelImage:
    """One image of a model: its file name (with folders, as COLMAP has it), the number of its lens, and its camera."""

    name: str
    lens: int
    camera: RawCamera


def is_model(path: Path) -> bool:
    """Whether `path` is a folder with cameras and images."""
    return path.is_dir() and any(
        (path / f"cameras{s}").is_file() and (path / f"images{s}").is_file() for s in (".txt", ".bin")
    )


def read_images(path: Path) -> list[ModelImage]:
    """All images of a model in the file's order.

    Raises:
        CalibrationError: no model, a truncated file, a lens that cannot be held, an image of a lens that is not there.
    """
    if not is_model(path):
        raise CalibrationError(
            f"COLMAP model {path} cannot be read",
            got="no cameras and images beside each other",
            expected=".txt or .bin",
        )
    binary = (path / "cameras.bin").is_file()
    lenses = _lenses_binary(path / "cameras.bin") if binary else _lenses_text(path / "cameras.txt")
    rows = _images_binary(path / "images.bin") if binary else _images_text(path / "images.txt")
    from scipy.spatial.transform import Rotation  # dear to import, and every command on recordings knows COLMAP

    images = []
    for name, quaternion, t, identity in rows:
        if identity not in lenses:
            raise CalibrationError(f"image {name} of {path} has no lens", got=f"camera {identity}", likely="a cut file")
        if np.linalg.norm(quaternion) < 1e-9:
            raise CalibrationError(f"image {name} of {path} has no rotation", got=f"quaternion {list(quaternion)}")
        w, x, y, z = quaternion
        R = Rotation.from_quat([x, y, z, w]).as_matrix()
        images.append(ModelImage(name, identity, replace(lenses[identity], name=name, R=R, t=np.array(t, np.float64))))
    return images


def write_model(
    path: Path,
    images: Sequence[tuple[str, RawCamera]],
    binary: bool = False,
    points: np.ndarray | None = None,
    colors: np.ndarray | None = None,
) -> None:
    """Write a model whose images are `(name, camera)` pairs, each with a lens of its own.

    Args:
        points, colors: [N, 3] world points, and uint8 colours, of the sparse cloud; none gives an empty one.
    """
    path.mkdir(parents=True, exist_ok=True)
    points = np.zeros((0, 3)) if points is None else np.asarray(points, np.float64)
    colors = np.full(points.shape, 127, np.uint8) if colors is None else np.asarray(colors, np.uint8)
    write = _write_binary if binary else _write_text
    write(path, [(name, camera, *_model_of(camera)) for name, camera in images], points, colors)


def _lens(model: str, width: int, height: int, p: Sequence[float], where: str) -> RawCamera:
    if model not in MODELS:
        raise CalibrationError(
            f"COLMAP camera model {model} is not supported",
            where=where,
            expected=", ".join(MODELS),
            hint="colmap image_undistorter, or refit with OPENCV or OPENCV_FISHEYE",
        )
    single = model in SINGLE_FOCAL
    if len(p) != (3 if single else 4) + MODELS[model][1]:
        raise CalibrationError(f"camera of {where} has a wrong number of parameters", got=f"{model} with {len(p)}")
    fx, fy, cx, cy, *rest = [p[0], p[0], *p[1:]] if single else p
    if model == "THIN_PRISM_FISHEYE":  # k1 k2 p1 p2 k3 k4 sx1 sy1
        if any(rest[i] for i in (2, 3, 6, 7)):
            raise CalibrationError(
                f"thin-prism terms of {where} are not supported", got=f"{model} {rest}", hint="colmap image_undistorter"
            )
        rest = [rest[0], rest[1], rest[4], rest[5]]
    distortion = np.zeros(8)
    distortion[: len(rest)] = rest
    K = np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1.0]])
    kind = "fisheye" if model.endswith("FISHEYE") else "brown"
    return RawCamera("", K, np.eye(3), np.zeros(3), distortion, kind, int(width), int(height))


def _rows(path: Path) -> list[str]:
    """Lines without the comments before the first entry; a 2D-point line may be empty and is kept."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise CalibrationError(f"COLMAP file {path} cannot be read", got=str(error)) from error
    lines = [line for line in lines if not line.startswith("#")]
    while lines and not lines[0].strip():
        lines.pop(0)
    return lines


def _lenses_text(path: Path) -> dict[int, RawCamera]:
    lenses = {}
    for row in _rows(path):
        fields = row.split()
        if not fields:
            continue
        try:
            size, numbers = (int(fields[2]), int(fields[3])), [float(v) for v in fields[4:]]
            identity = int(fields[0])
        except (ValueError, IndexError) as error:
            raise CalibrationError(f"line of {path} is no camera", got=row, likely="a cut file") from error
        lenses[identity] = _lens(fields[1], *size, numbers, f"camera {identity} of {path}")
    return lenses


def _images_text(path: Path) -> list[tuple]:
    images = []
    for row in _rows(path)[::2]:  # every second line lists 2D points and may be empty
        fields = row.split(maxsplit=9)  # the name is the rest of the line, spaces and all
        if not fields:
            continue
        try:
            numbers = [float(v) for v in fields[1:8]]
            images.append((fields[9].rstrip(), numbers[:4], numbers[4:], int(fields[8])))
        except (ValueError, IndexError) as error:
            raise CalibrationError(
                f"line of {path} is no image",
                got=row[:80],
                likely="the line of 2D points after an image is missing, or a cut file",
                hint="every image has two lines; the second may be empty",
            ) from error
    return images


def _lenses_binary(path: Path) -> dict[int, RawCamera]:
    lenses, names = {}, {number: name for name, (number, _) in MODELS.items()}
    with open(path, "rb") as stream:
        for _ in range(_unpack(stream, "<Q", path)[0]):
            identity, number, width, height = _unpack(stream, "<iiQQ", path)
            name = names.get(number, REFUSED.get(number, f"number {number}"))
            count = (3 if name in SINGLE_FOCAL else 4) + MODELS[name][1] if name in MODELS else 0
            p = _unpack(stream, f"<{count}d", path)
            lenses[identity] = _lens(name, width, height, p, f"camera {identity} of {path}")
    return lenses


def _images_binary(path: Path) -> list[tuple]:
    images = []
    with open(path, "rb") as stream:
        for _ in range(_unpack(stream, "<Q", path)[0]):
            numbers = _unpack(stream, "<i7di", path)
            name = bytearray()
            while (byte := stream.read(1)) not in (b"\0", b""):
                name += byte
            stream.seek(24 * _unpack(stream, "<Q", path)[0], 1)
            images.append((name.decode(errors="replace"), numbers[1:5], numbers[5:8], numbers[8]))
    return images


def _unpack(stream, layout: str, path: Path) -> tuple:
    data = stream.read(struct.calcsize(layout))
    if len(data) < struct.calcsize(layout):
        raise CalibrationError(f"COLMAP file {path} ends early", got=f"{len(data)} bytes", likely="a truncated copy")
    return struct.unpack(layout, data)


def _model_of(camera: RawCamera) -> tuple[str, list[float]]:
    K, d = np.asarray(camera.K), np.pad(camera.distortion, (0, 8))[:8].tolist()
    fxfycxcy = [float(v) for v in (K[0, 0], K[1, 1], K[0, 2], K[1, 2])]
    if camera.model == "fisheye":
        return "OPENCV_FISHEYE", fxfycxcy + d[:4]
    return ("FULL_OPENCV", fxfycxcy + d) if any(d) else ("PINHOLE", fxfycxcy)


def _quaternion(R: np.ndarray) -> list[float]:
    """w x y z."""
    from scipy.spatial.transform import Rotation  # as above

    return Rotation.from_matrix(R).as_quat()[[3, 0, 1, 2]].tolist()


def _write_binary(path: Path, images: list, points: np.ndarray, colors: np.ndarray) -> None:
    lenses, poses = [struct.pack("<Q", len(images))], [struct.pack("<Q", len(images))]
    for index, (name, camera, model, p) in enumerate(images, 1):
        header = struct.pack("<iiQQ", index, MODELS[model][0], camera.width, camera.height)
        lenses.append(header + struct.pack(f"<{len(p)}d", *p))
        pose = struct.pack("<i7di", index, *_quaternion(camera.R), *camera.t, index)
        poses.append(pose + name.encode() + b"\0" + struct.pack("<Q", 0))
    cloud = [struct.pack("<Q", len(points))]
    for index, (point, color) in enumerate(zip(points, colors), 1):
        cloud.append(struct.pack("<Q3d3BdQ", index, *point, *color.tolist(), 0.0, 0))
    (path / "cameras.bin").write_bytes(b"".join(lenses))
    (path / "images.bin").write_bytes(b"".join(poses))
    (path / "points3D.bin").write_bytes(b"".join(cloud))


def _write_text(path: Path, images: list, points: np.ndarray, colors: np.ndarray) -> None:
    lenses = ["# CAMERA_ID, MODEL, WIDTH, HEIGHT, PARAMS[]"]
    poses = ["# IMAGE_ID, QW, QX, QY, QZ, TX, TY, TZ, CAMERA_ID, NAME"]
    for index, (name, camera, model, p) in enumerate(images, 1):
        lenses.append(f"{index} {model} {camera.width} {camera.height} {_line(p)}")
        poses += [f"{index} {_line([*_quaternion(camera.R), *camera.t])} {index} {name}", ""]
    cloud = ["# POINT3D_ID, X, Y, Z, R, G, B, ERROR, TRACK[]"]
    for index, (point, color) in enumerate(zip(points, colors), 1):
        cloud.append(f"{index} {_line(point)} {' '.join(map(str, color.tolist()))} 0")
    for name, lines in (("cameras", lenses), ("images", poses), ("points3D", cloud)):
        (path / f"{name}.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _line(numbers: Sequence[float]) -> str:
    return " ".join(f"{float(number):.17g}" for number in numbers)
