"""COLMAP sparse model, text or binary (a folder with cameras and images): w2c quaternions, pixel centres at +0.5.

Every image is one camera of the rig; images are taken in the order of their names.
"""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np

from mousefacelift.capture.rig import RawCamera
from mousefacelift.errors import CalibrationError

NAME = "colmap"
DESCRIPTION = "COLMAP model folder: cameras.txt + images.txt, or cameras.bin + images.bin"
MODELS = ("SIMPLE_PINHOLE", "PINHOLE", "SIMPLE_RADIAL", "RADIAL", "OPENCV", "OPENCV_FISHEYE", "FULL_OPENCV")
COUNTS = dict(zip(MODELS, (3, 4, 4, 5, 8, 8, 12)))


def matches(path: Path) -> bool:
    return path.is_dir() and any(
        (path / f"cameras{s}").is_file() and (path / f"images{s}").is_file() for s in (".txt", ".bin")
    )


def read(path: Path) -> list[RawCamera]:
    binary = (path / "cameras.bin").is_file()
    lenses = _lenses_binary(path / "cameras.bin") if binary else _lenses_text(path / "cameras.txt")
    images = _images_binary(path / "images.bin") if binary else _images_text(path / "images.txt")
    cameras = []
    for name, quaternion, t, identity in sorted(images, key=lambda image: image[0]):
        K, distortion, model, width, height = lenses[identity]
        cameras.append(
            RawCamera(Path(name).stem, K, _rotation(quaternion), np.array(t), distortion, model, width, height)
        )
    return cameras


def _lens(model: str, width: int, height: int, p: list[float]) -> tuple:
    if model not in COUNTS:
        raise CalibrationError(
            f"COLMAP camera model {model} is not supported",
            expected=", ".join(MODELS),
            hint="colmap image_undistorter, or refit with OPENCV",
        )
    single = model in ("SIMPLE_PINHOLE", "SIMPLE_RADIAL", "RADIAL")
    fx, fy, cx, cy, *rest = [p[0], p[0], *p[1:]] if single else p
    distortion = np.zeros(8)
    if model in ("SIMPLE_RADIAL", "RADIAL", "OPENCV", "OPENCV_FISHEYE", "FULL_OPENCV"):
        distortion[: len(rest)] = rest
    K = np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1.0]])
    return K, distortion, "fisheye" if model == "OPENCV_FISHEYE" else "brown", width, height


def _rows(path: Path) -> list[str]:
    return [line.rstrip("\n") for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]


def _lenses_text(path: Path) -> dict:
    lenses = {}
    for fields in (row.split() for row in _rows(path) if row.strip()):
        lenses[int(fields[0])] = _lens(fields[1], int(fields[2]), int(fields[3]), [float(v) for v in fields[4:]])
    return lenses


def _images_text(path: Path) -> list[tuple]:
    rows = _rows(path)
    while rows and not rows[0].strip():
        rows.pop(0)
    images = []
    for row in rows[::2]:  # every second line lists 2D points and may be empty
        fields = row.split(maxsplit=9)
        if len(fields) == 10:
            numbers = [float(v) for v in fields[1:8]]
            images.append((fields[9], numbers[:4], numbers[4:], int(fields[8])))
    return images


def _lenses_binary(path: Path) -> dict:
    lenses = {}
    with open(path, "rb") as stream:
        for _ in range(_unpack(stream, "<Q")[0]):
            identity, model, width, height = _unpack(stream, "<iiQQ")
            name = MODELS[model] if model < len(MODELS) else f"number {model}"
            lenses[identity] = _lens(name, width, height, list(_unpack(stream, f"<{COUNTS.get(name, 0)}d")))
    return lenses


def _images_binary(path: Path) -> list[tuple]:
    images = []
    with open(path, "rb") as stream:
        for _ in range(_unpack(stream, "<Q")[0]):
            numbers = _unpack(stream, "<i7di")
            name = bytearray()
            while (byte := stream.read(1)) not in (b"\0", b""):
                name += byte
            stream.seek(24 * _unpack(stream, "<Q")[0], 1)
            images.append((name.decode(), numbers[1:5], numbers[5:8], numbers[8]))
    return images


def _unpack(stream, layout: str) -> tuple:
    data = stream.read(struct.calcsize(layout))
    if len(data) < struct.calcsize(layout):
        raise CalibrationError("COLMAP file ends early", got=f"{len(data)} bytes", likely="a truncated copy")
    return struct.unpack(layout, data)


def _rotation(quaternion) -> np.ndarray:
    w, x, y, z = np.asarray(quaternion, np.float64) / np.linalg.norm(quaternion)
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )


def _quaternion(R: np.ndarray) -> np.ndarray:
    from scipy.spatial.transform import Rotation

    return Rotation.from_matrix(R).as_quat()[[3, 0, 1, 2]]


def _model_of(camera: RawCamera) -> tuple[str, list[float]]:
    K, d = np.asarray(camera.K), np.pad(camera.distortion, (0, 8))[:8].tolist()
    fxfycxcy = [K[0, 0], K[1, 1], K[0, 2], K[1, 2]]
    return ("OPENCV_FISHEYE", fxfycxcy + d[:4]) if camera.model == "fisheye" else ("FULL_OPENCV", fxfycxcy + d)


def write(path: Path, cameras: list[RawCamera], binary: bool = False) -> None:
    path.mkdir(parents=True, exist_ok=True)
    if binary:
        lenses, images = [struct.pack("<Q", len(cameras))], [struct.pack("<Q", len(cameras))]
        for index, camera in enumerate(cameras, 1):
            model, p = _model_of(camera)
            lenses.append(struct.pack(f"<iiQQ{len(p)}d", index, MODELS.index(model), camera.width, camera.height, *p))
            images.append(
                struct.pack("<i7di", index, *_quaternion(camera.R), *camera.t, index)
                + f"{camera.name}.png".encode()
                + b"\0"
                + struct.pack("<Q", 0)
            )
        (path / "cameras.bin").write_bytes(b"".join(lenses))
        (path / "images.bin").write_bytes(b"".join(images))
        return
    lenses, images = ["# cameras"], ["# images"]
    for index, camera in enumerate(cameras, 1):
        model, p = _model_of(camera)
        lenses.append(
            " ".join(map(repr, [index, camera.width, camera.height])).replace(" ", f" {model} ", 1)
            + " "
            + " ".join(repr(float(v)) for v in p)
        )
        pose = " ".join(repr(float(v)) for v in [*_quaternion(camera.R), *camera.t])
        images += [f"{index} {pose} {index} {camera.name}.png", ""]
    (path / "cameras.txt").write_text("\n".join(lenses) + "\n", encoding="utf-8")
    (path / "images.txt").write_text("\n".join(images) + "\n", encoding="utf-8")
