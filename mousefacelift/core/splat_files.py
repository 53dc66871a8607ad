"""Gaussian splats as files that other programs open: PLY in two layouts, and SPZ.

Files hold the stored parameters of 3D Gaussian splatting: log scales, opacity logits, spherical harmonics, quaternions
w x y z. `inria` is what every reader takes (see docs/formats.md): float32 only, normals, always 45 f_rest columns, as
the original 3D Gaussian splatting code writes them. `facelift` is the layout of FaceLift / GS-LRM dumps: uchar colours
inside the row and no normals, which many readers misread.
"""

from __future__ import annotations

import gzip
import re
import struct
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import torch
from plyfile import PlyData, PlyElement

from mousefacelift.core.files import readable, via
from mousefacelift.core.gaussians import Gaussians
from mousefacelift.errors import DataError

MAX_LOGIT = 16.0  # opacities of exactly 0 or 1 have no finite logit
SPZ_FRACTIONAL_BITS = 14  # 24-bit fixed point: +-512 units in steps of 6e-5; the animal is two units long
SPZ_BYTES = 92  # per point, unpacked, at most: degree 4
SPZ_POINTS = 50_000_000  # no scene has more
REST = 15  # coefficients above the DC, per channel: degree 3


def write_ply(path: Path, gaussians: Gaussians, layout: Literal["inria", "facelift"] = "inria") -> Path:
    """Write one scene of Gaussians; the file appears whole or not at all.

    Args:
        gaussians: fields [N, ...] (no batch dimension).
    """
    if layout not in ("inria", "facelift"):
        raise ValueError(f"PLY layout {layout!r} is not 'inria' or 'facelift'")
    stored = _stored(gaussians)
    columns = {name: stored["means"][:, axis] for axis, name in enumerate("xyz")}
    if layout == "facelift":
        rgb = np.clip((0.2821 * stored["sh"][:, 0] + 0.5) * 255.0, 0.0, 255.0).astype(np.uint8)
        columns |= {name: rgb[:, channel] for channel, name in enumerate(("red", "green", "blue"))}
    else:
        columns |= {name: np.zeros(len(stored["means"]), np.float32) for name in ("nx", "ny", "nz")}
    columns |= {f"f_dc_{channel}": stored["sh"][:, 0, channel] for channel in range(3)}
    rest = stored["sh"][:, 1:]
    rest = np.pad(rest, ((0, 0), (0, REST - rest.shape[1]), (0, 0)))  # loaders at degree 3 demand all 45 columns
    rest = rest.transpose(0, 2, 1).reshape(len(rest), -1)  # channel-major
    columns |= {f"f_rest_{index}": rest[:, index] for index in range(rest.shape[1])}
    columns["opacity"] = stored["opacity"]
    columns |= {f"scale_{axis}": stored["scales"][:, axis] for axis in range(3)}
    columns |= {f"rot_{axis}": stored["quats"][:, axis] for axis in range(4)}
    table = np.empty(len(stored["means"]), [(name, column.dtype) for name, column in columns.items()])
    for name, column in columns.items():
        table[name] = column
    return _write_atomically(
        path, lambda part: PlyData([PlyElement.describe(table, "vertex")], byte_order="<").write(part)
    )


def read_ply(path: Path) -> Gaussians:
    """Gaussians [N, ...] of a splat PLY of either layout; columns of higher bands that are all zero are dropped."""
    with readable(path, "splat"):
        return _gaussians_of(read_vertices(Path(path)), path)


def read_vertices(path: Path) -> np.ndarray:
    """The vertex table of a PLY file, if its header does not promise more than the file holds."""
    with open(path, "rb") as stream:
        header = stream.read(1 << 16).split(b"end_header", 1)[0]
    counts = [int(n) for n in re.findall(rb"^element\s+\S+\s+(\d+)", header, re.M)]
    if not header.startswith(b"ply") or not counts or sum(counts) > path.stat().st_size:
        raise ValueError(f"a header of {sum(counts)} rows in {path.stat().st_size} bytes, expected a splat PLY")
    return PlyData.read(str(path))["vertex"].data


def _gaussians_of(table: np.ndarray, path: Path) -> Gaussians:
    names = table.dtype.names or ()
    needed = [
        *"xyz",
        *(f"f_dc_{c}" for c in range(3)),
        "opacity",
        *(f"scale_{a}" for a in range(3)),
        *(f"rot_{a}" for a in range(4)),
    ]
    missing = [name for name in needed if name not in names]
    if missing:
        packed = "packed_position" in names
        raise DataError(
            f"'{path}' is not a Gaussian splat",
            got=f"no {', '.join(missing)}",
            likely="SuperSplat's compressed PLY: export it as a plain one" if packed else "a mesh or a point cloud",
        )
    bands = sum(name.startswith("f_rest_") for name in names)
    if bands not in (0, 9, 24, 3 * REST):
        raise DataError(
            f"'{path}' has spherical harmonics of another degree",
            got=f"{bands} columns f_rest",
            expected=f"0, 9, 24 or {3 * REST} (degree 0 to 3)",
            hint="export it at degree 3 or below",
        )

    def columns(*wanted: str) -> np.ndarray:
        return np.stack([np.asarray(table[name], np.float32) for name in wanted], -1)

    sh = columns("f_dc_0", "f_dc_1", "f_dc_2")[:, None]
    if bands:
        rest = columns(*(f"f_rest_{i}" for i in range(bands)))
        rest = rest.reshape(len(rest), 3, bands // 3).transpose(0, 2, 1)
        used = next(k for k in (0, 3, 8, 15) if not rest[:, k:].any())
        sh = np.concatenate([sh, rest[:, :used]], 1)
    return _activated(
        columns(*"xyz"),
        columns("rot_0", "rot_1", "rot_2", "rot_3"),
        columns("scale_0", "scale_1", "scale_2"),
        columns("opacity")[:, 0],
        sh,
        path,
    )


def write_spz(path: Path, gaussians: Gaussians, version: Literal[2, 3, 4] = 3) -> Path:
    """Write one scene as SPZ (about a tenth of the PLY): 24-bit positions, 8-bit attributes.

    Args:
        version: 3 is what readers of 2025 take (gzip); 2 (coarser rotations) suits older ones; 4 (zstd) is the newest.
    """
    from gsply import GSData
    from gsply import write_spz as write

    stored = _stored(gaussians)
    quats = stored["quats"] / np.maximum(np.linalg.norm(stored["quats"], axis=1, keepdims=True), 1e-12)
    data = GSData(
        means=stored["means"],
        scales=stored["scales"],
        quats=quats.astype(np.float32),
        opacities=stored["opacity"],
        sh0=np.ascontiguousarray(stored["sh"][:, 0]),
        shN=np.ascontiguousarray(stored["sh"][:, 1:]),
    )

    def write_part(part: str) -> None:
        write(part, data, version=max(version, 3), fractional_bits=SPZ_FRACTIONAL_BITS)
        if version == 2:
            Path(part).write_bytes(_as_version_2(Path(part).read_bytes(), quats))

    return _write_atomically(path, write_part)


def _as_version_2(data: bytes, quats: np.ndarray) -> bytes:
    """The SPZ 3 file with its rotations as version 2 has them: x y z of unit quaternions, w >= 0, one byte each."""
    plain = gzip.decompress(data)
    count = len(quats)
    begin = 16 + count * (9 + 1 + 3 + 3)  # header, positions, opacities, colours, scales
    upright = quats * np.where(quats[:, :1] < 0, -1, 1)
    rotations = np.clip(np.rint(upright[:, 1:] * 127.5 + 127.5), 0, 255).astype(np.uint8).tobytes()
    header = plain[:4] + struct.pack("<I", 2) + plain[8:16]
    return gzip.compress(header + plain[16:begin] + rotations + plain[begin + 4 * count :])


def read_spz(path: Path) -> Gaussians:
    """Gaussians [N, ...] of an SPZ file, versions 1 to 4."""
    from gsply import read_spz as read

    with readable(path, "splat"):
        refuse_bomb(Path(path))
        data = read(str(path))
        sh = np.asarray(data.sh0, np.float32)[:, None]
        if data.shN is not None and np.size(data.shN):
            sh = np.concatenate([sh, np.asarray(data.shN, np.float32)], 1)
        return _activated(data.means, data.quats, data.scales, np.asarray(data.opacities).reshape(-1), sh, path)


def refuse_bomb(path: Path) -> None:
    """Raise ValueError for a gzipped SPZ that unpacks to more than its own header's points can fill, or to too many."""
    with open(path, "rb") as stream:
        if stream.read(2) != b"\x1f\x8b":
            return
    with gzip.open(path) as stream:
        points = struct.unpack("<III", stream.read(12))[2]
        most, size = 16 + min(points, SPZ_POINTS) * SPZ_BYTES, 12
        while size <= most and (block := stream.read(1 << 20)):
            size += len(block)
    if size > most:
        raise ValueError(f"more than the {most} bytes of {points} points")


class SplatFormat(NamedTuple):
    """How one kind of file is written: its suffix, and the writer (path, Gaussians) -> path."""

    suffix: str
    write: Callable[[Path, Gaussians], Path]


FORMATS = {  # every format that commands offer; a new one is a row here
    "inria": SplatFormat("ply", partial(write_ply, layout="inria")),
    "facelift": SplatFormat("ply", partial(write_ply, layout="facelift")),
    "spz": SplatFormat("spz", write_spz),
    "spz2": SplatFormat("spz", partial(write_spz, version=2)),
    "spz4": SplatFormat("spz", partial(write_spz, version=4)),
}
PLY_LAYOUTS = tuple(name for name, form in FORMATS.items() if form.suffix == "ply")


def _stored(gaussians: Gaussians) -> dict[str, np.ndarray]:
    if gaussians.means.ndim != 2:
        raise DataError(
            "a splat file holds one scene",
            got=f"means {tuple(gaussians.means.shape)}",
            expected="[N, 3]",
            hint="write each scene of the batch to its own file",
        )
    opacity = gaussians.opacities.detach().double().clamp(0, 1)
    tensors = {
        "means": gaussians.means,
        "quats": gaussians.quats,
        "scales": gaussians.scales.detach().double().clamp_min(1e-30).log(),
        "opacity": torch.logit(opacity).clamp(-MAX_LOGIT, MAX_LOGIT),
        "sh": gaussians.sh,
    }
    arrays = {name: np.ascontiguousarray(value.detach().cpu().numpy(), np.float32) for name, value in tensors.items()}
    broken = [name for name, value in arrays.items() if not np.isfinite(value).all()]
    if broken:
        raise DataError("Gaussians with NaN or infinite values are not written", where=", ".join(broken))
    return arrays


def _activated(means, quats, log_scales, logits, sh, path: Path) -> Gaussians:
    tensors = [torch.from_numpy(np.array(a, np.float32)) for a in (means, quats, log_scales, logits, sh)]
    tensors[2:4] = tensors[2].exp(), tensors[3].sigmoid()
    if len(tensors[0]) == 0:
        raise DataError(f"splat {path} holds no Gaussians", likely="an empty export")
    broken = ~torch.stack([part.flatten(1).isfinite().all(1) if part.ndim > 1 else part.isfinite() for part in tensors])
    if broken.any():
        raise DataError(
            f"splat {path} holds Gaussians with NaN or infinite values",
            got=f"{int(broken.any(0).sum())} of {len(tensors[0])}",
            likely="an optimisation that diverged",
            hint="remove them in a splat editor; one of them would spread over the whole picture",
        )
    return Gaussians(*tensors)


def _write_atomically(path: Path, write) -> Path:
    with via(path, "splat") as part:
        write(str(part))
    return Path(path)
