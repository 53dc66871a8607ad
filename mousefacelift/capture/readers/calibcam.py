"""calibcam (`multicam_calibration` .npz, .npy, .yml): `calibs`, per camera A, k, rvec_cam, tvec_cam.

OpenCV axes, Rodrigues rotation world to camera, 0-based pixels.
"""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import cv2
import numpy as np

from mousefacelift.capture.readers.pixel_origin import from_zero_based, to_zero_based
from mousefacelift.capture.readers.safe_pickle import load_numbers
from mousefacelift.capture.rig import RawCamera

NAME = "calibcam"
DESCRIPTION = "calibcam multicam_calibration .npz/.npy/.yml: calibs with A, k, rvec_cam, tvec_cam"


def matches(path: Path) -> bool:
    if not path.is_file():
        return False
    if path.suffix in (".npz", ".npy"):
        return True
    return path.suffix in (".yml", ".yaml") and b"rvec_cam" in path.read_bytes()


def read(path: Path) -> list[RawCamera]:
    return [_camera(entry, index) for index, entry in enumerate(_entries(path))]


def _entries(path: Path) -> list[dict]:
    if path.suffix in (".yml", ".yaml"):
        import yaml

        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        return content["calibs"] if isinstance(content, dict) else content
    arrays = _arrays(path)
    if "calibs" in arrays:
        return list(np.atleast_1d(arrays["calibs"]))
    return [
        {key: arrays[key][index] for key in ("A", "k", "rvec_cam", "tvec_cam")} for index in range(len(arrays["A"]))
    ]


def _arrays(path: Path) -> dict:
    """Arrays of an .npz, or the dict inside an object .npy; object arrays go through the numbers-only unpickler."""
    if path.suffix == ".npz":
        with zipfile.ZipFile(path) as archive:
            return {name.removesuffix(".npy"): _array(archive.read(name)) for name in archive.namelist()}
    content = _array(path.read_bytes())
    content = content.item() if isinstance(content, np.ndarray) and content.ndim == 0 else content
    return content if isinstance(content, dict) else {"calibs": content}


def _array(data: bytes):
    stream = io.BytesIO(data)
    version = np.lib.format.read_magic(stream)
    header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    _, _, dtype = header(stream)
    return load_numbers(stream.read()) if dtype.hasobject else np.load(io.BytesIO(data), allow_pickle=False)


def _camera(entry: dict, index: int) -> RawCamera:
    R = cv2.Rodrigues(np.asarray(entry["rvec_cam"], np.float64).reshape(3))[0]
    width, height = entry.get("sensor_size", entry.get("size", (0, 0)))
    return RawCamera(
        str(entry.get("name", index)),
        from_zero_based(np.reshape(entry["A"], (3, 3))),
        R,
        np.asarray(entry["tvec_cam"], np.float64).reshape(3),
        np.ravel(np.asarray(entry["k"], np.float64)),
        width=int(width),
        height=int(height),
    )


def write(path: Path, cameras: list[RawCamera]) -> None:
    rvecs = [cv2.Rodrigues(np.asarray(c.R))[0].ravel() for c in cameras]
    ks = [np.pad(c.distortion, (0, 5))[:5] for c in cameras]
    if Path(path).suffix in (".yml", ".yaml"):
        import yaml

        calibs = [
            {
                "name": c.name,
                "A": to_zero_based(c.K).tolist(),
                "k": k.tolist(),
                "rvec_cam": r.tolist(),
                "tvec_cam": np.asarray(c.t).tolist(),
            }
            for c, k, r in zip(cameras, ks, rvecs)
        ]
        Path(path).write_text(yaml.safe_dump({"calibs": calibs}), encoding="utf-8")
    else:
        np.savez(
            path,
            A=np.stack([to_zero_based(c.K) for c in cameras]),
            k=np.stack(ks),
            rvec_cam=np.stack(rvecs),
            tvec_cam=np.stack([np.asarray(c.t) for c in cameras]),
        )
