"""MultiCamSelfCal results: a folder with camera_order.txt, cameraN.Pmat.cal, Res.dat and perhaps basenameN.rad.

P (3x4) is taken apart into K [R | t]. A .rad file holds the lens: K and kc of Bouguet's toolbox. Its K may differ from
P's: only where both agree is the camera a plain Brown lens; otherwise P describes the undistorted pictures, and a
nonzero kc is refused. The world has arbitrary scale unless it was aligned.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from scipy.linalg import rq

from mousefacelift.capture.readers.about import About
from mousefacelift.errors import CalibrationError
from mousefacelift.formats.entries import Entry, camera_names
from mousefacelift.formats.pixel_origin import from_zero_based, to_zero_based
from mousefacelift.formats.raw_camera import RawCamera

NAME = "multicamselfcal"
ABOUT = About(
    "MultiCamSelfCal (strawlab), read by pymvg",
    "a folder that the tool wrote (pymvg's test data); pymvg 2.1.0 sees the same rig",
    "open (arbitrary unless aligned)",
    "P = K [R | t], world to camera, up to scale",
    "0 (as pymvg and flydra take it)",
    "folder: camera_order.txt, cameraN.Pmat.cal, Res.dat, basenameN.rad",
)
SAME_K = 0.01  # px by which the K of P and of the .rad file may differ and still be one lens


def matches(path: Path) -> bool:
    return path.is_dir() and any(path.glob("camera*.Pmat.cal"))


def read(path: Path) -> list[RawCamera]:
    files = sorted(path.glob("camera*.Pmat.cal"), key=_number)
    order = path / "camera_order.txt"
    given = [line.strip() for line in order.read_text().splitlines() if line.strip()] if order.is_file() else []
    if given and len(given) != len(files):
        raise CalibrationError(f"{order} names another number of cameras", got=len(given), expected=len(files))
    names = camera_names(given or [None] * len(files), [f"camera{_number(file)}" for file in files])
    sizes = _numbers(path / "Res.dat") if (path / "Res.dat").is_file() else np.zeros((len(files), 2))
    if sizes.shape != (len(files), 2):
        raise CalibrationError(f"{path / 'Res.dat'} is not one size per camera", got=sizes.shape)
    return [_camera(file, name, size) for file, name, size in zip(files, names, sizes)]


def _number(path: Path) -> int:
    digits = re.findall(r"\d+", path.name)
    if not digits:
        raise CalibrationError(f"{path} has no camera number", expected="camera1.Pmat.cal")
    return int(digits[0])


def _numbers(path: Path) -> np.ndarray:
    """Rows of numbers; Octave writes comments above them."""
    try:
        lines = [line.split("#")[0].split("%")[0].split() for line in path.read_text().splitlines()]
        rows = [[float(word) for word in line] for line in lines if line]
        return np.array(rows, np.float64)
    except (OSError, ValueError) as error:
        raise CalibrationError(f"{path} is no matrix of numbers", got=str(error)) from error


def _camera(file: Path, name: str, size: np.ndarray) -> RawCamera:
    P = _numbers(file)
    if P.shape != (3, 4) or not np.isfinite(P).all() or abs(np.linalg.det(P[:, :3])) < 1e-12 * np.abs(P).max() ** 3:
        raise CalibrationError(f"{file} is no projection matrix", got=P.tolist(), expected="3 rows of 4 numbers")
    K, R = rq(P[:, :3])
    signs = np.diag(np.sign(np.diag(K)))  # positive focal lengths; the scale of P is free, its sign as well
    K, R = K @ signs, signs @ R
    if np.linalg.det(R) < 0:
        R, P = -R, -P
    t = np.linalg.solve(K, P[:, 3])
    K = K / K[2, 2]
    lens, kc = _rad(file.with_name(f"basename{_number(file)}.rad"))
    if kc.any() and np.abs(lens - K).max() > SAME_K:
        raise CalibrationError(
            f"camera {name} of {file.parent} distorts about another centre than it projects",
            got=f"K of P {np.round(K, 2).tolist()}, K of the .rad file {np.round(lens, 2).tolist()}",
            likely="P was estimated from points that were undistorted with the .rad file",
            hint="undistort the videos with the .rad file's K and kc, and remove the .rad files",
        )
    return RawCamera(name, from_zero_based(K), R, t, kc, width=int(size[0]), height=int(size[1]))


def _rad(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """K and kc (k1 k2 p1 p2 k3) of a .rad file; no file means no distortion."""
    if not path.is_file():
        return np.eye(3), np.zeros(5)
    values = {}
    for line in path.read_text().splitlines():
        found = re.match(r"\s*([A-Za-z_]\w*)\s*=\s*([^#%;\s]+)", line)
        if found:
            values[found[1]] = found[2]
    entry = Entry(values, str(path))
    K = np.array([[float(entry.array((), f"K{i}{j}")) for j in (1, 2, 3)] for i in (1, 2, 3)])
    kc = np.array([float(entry.array((), f"kc{i}")) if f"kc{i}" in values else 0.0 for i in range(1, 6)])
    entry.finish()
    return K, kc


def write(path: Path, cameras: list[RawCamera]) -> None:
    path.mkdir(parents=True, exist_ok=True)
    for index, camera in enumerate(cameras, 1):
        K = to_zero_based(camera.K)
        np.savetxt(path / f"camera{index}.Pmat.cal", K @ np.column_stack([camera.R, camera.t]), fmt="%.17g")
        kc = np.pad(camera.distortion, (0, 5))[:5]
        rows = [f"K{i + 1}{j + 1} = {K[i, j]:.17g}" for i in range(3) for j in range(3)]
        rows += [f"kc{i + 1} = {value:.17g}" for i, value in enumerate(kc)]
        (path / f"basename{index}.rad").write_text("\n".join(f"{row} #" for row in rows) + "\n")
    np.savetxt(path / "Res.dat", [(camera.width, camera.height) for camera in cameras], fmt="%d")
    (path / "camera_order.txt").write_text("\n".join(camera.name for camera in cameras) + "\n")
