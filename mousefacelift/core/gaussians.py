"""3D Gaussians after activation, under gsplat's names, and their colours as seen from cameras."""

from __future__ import annotations

import io
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import torch

from mousefacelift.core.camera_tensors import CameraTensors
from mousefacelift.core.files import read_npz, readable, write_bytes
from mousefacelift.errors import DataError

SH_C0 = 0.28209479177387814


@dataclass
class Gaussians:
    """N Gaussians with any leading batch dimensions.

    Args:
        means: [..., N, 3] world units.
        quats: [..., N, 4] wxyz, any norm.
        scales: [..., N, 3] linear standard deviations.
        opacities: [..., N] in [0, 1].
        sh: [..., N, K, 3] spherical-harmonic coefficients, K = (degree + 1)^2; rgb = C0 * sh[0] + 0.5 + ...
    """

    means: torch.Tensor
    quats: torch.Tensor
    scales: torch.Tensor
    opacities: torch.Tensor
    sh: torch.Tensor

    def __post_init__(self) -> None:
        shape = self.means.shape[:-1]
        good = (
            self.quats.shape == shape + (4,)
            and self.scales.shape == shape + (3,)
            and self.opacities.shape == shape
            and self.sh.shape[:-2] == shape
            and self.sh.shape[-1] == 3
            and self.sh.shape[-2] in (1, 4, 9, 16)
        )
        if not good:
            got = ", ".join(f"{f.name} {tuple(getattr(self, f.name).shape)}" for f in fields(self))
            raise DataError(
                "Gaussian tensors have wrong shapes",
                got=got,
                expected="[...,N,3] [...,N,4] [...,N,3] [...,N] [...,N,(degree+1)^2,3]",
            )

    @classmethod
    def from_rgb(cls, means, quats, scales, opacities, rgb) -> Gaussians:
        """Gaussians of constant colour rgb [..., N, 3]."""
        return cls(means, quats, scales, opacities, ((rgb - 0.5) / SH_C0).unsqueeze(-2))

    @property
    def count(self) -> int:
        return self.means.shape[-2]

    @property
    def degree(self) -> int:
        return int(round(self.sh.shape[-2] ** 0.5)) - 1

    def map(self, function) -> Gaussians:
        """The Gaussians with `function` applied to every tensor."""
        return Gaussians(*(function(getattr(self, f.name)) for f in fields(self)))

    def to(self, *args) -> Gaussians:
        return self.map(lambda tensor: tensor.to(*args))

    def detach(self) -> Gaussians:
        return self.map(torch.Tensor.detach)

    def select(self, chosen) -> Gaussians:
        """The chosen Gaussians of an unbatched set (bool mask [N] or indices)."""
        return self.map(lambda tensor: tensor[chosen])

    def save(self, path: str | Path) -> None:
        """Atomic compressed .npz with the field names, float32."""
        buffer = io.BytesIO()
        arrays = {f.name: getattr(self, f.name).detach().cpu().numpy().astype(np.float32) for f in fields(self)}
        np.savez_compressed(buffer, **arrays)
        write_bytes(path, buffer.getvalue())

    @classmethod
    def read(cls, path: str | Path) -> Gaussians:
        """Gaussians of a file written by `save`."""
        shapes = {
            "means": (None, 3),
            "quats": (None, 4),
            "scales": (None, 3),
            "opacities": (None,),
            "sh": (None, None, 3),
        }
        arrays = read_npz(path, shapes, "splat")
        with readable(path, "splat"):
            if len({len(array) for array in arrays.values()}) > 1:
                raise ValueError(f"arrays of {sorted({len(a) for a in arrays.values()})} rows")
            return cls(*(torch.from_numpy(arrays[f.name].astype(np.float32, copy=False)) for f in fields(cls)))


def gaussian_colors(gaussians: Gaussians, cameras: CameraTensors) -> torch.Tensor:
    """Colours [..., V, N, 3] of the Gaussians seen from each camera: max(0, SH(direction) + 0.5).

    For degree 0 the colour does not depend on the view and V is 1 (broadcasts).
    """
    if gaussians.degree == 0:
        return (SH_C0 * gaussians.sh[..., 0, :] + 0.5).clamp_min(0).unsqueeze(-3)
    offset = gaussians.means.unsqueeze(-3) - cameras.centers.unsqueeze(-2)
    basis = sh_basis(torch.nn.functional.normalize(offset, dim=-1), gaussians.degree)
    return (torch.einsum("...vnk,...nkc->...vnc", basis, gaussians.sh) + 0.5).clamp_min(0)


def sh_basis(directions: torch.Tensor, degree: int) -> torch.Tensor:
    """Real spherical harmonics [..., (degree+1)^2] of unit directions [..., 3], degree <= 3, in 3DGS' order and signs.

    Source: Sloan, "Efficient Spherical Harmonic Evaluation" (JCGT 2013); the Condon-Shortley sign as in 3DGS.
    """
    x, y, z = directions.unbind(-1)
    out = [torch.full_like(x, SH_C0)]
    if degree >= 1:
        c = 0.4886025119029199
        out += [-c * y, c * z, -c * x]
    if degree >= 2:
        out += [
            1.0925484305920792 * x * y,
            -1.0925484305920792 * y * z,
            0.31539156525252005 * (2 * z * z - x * x - y * y),
            -1.0925484305920792 * x * z,
            0.5462742152960396 * (x * x - y * y),
        ]
    if degree >= 3:
        out += [
            -0.5900435899266435 * y * (3 * x * x - y * y),
            2.890611442640554 * x * y * z,
            -0.4570457994644658 * y * (4 * z * z - x * x - y * y),
            0.3731763325901154 * z * (2 * z * z - 3 * x * x - 3 * y * y),
            -0.4570457994644658 * x * (4 * z * z - x * x - y * y),
            1.445305721320277 * z * (x * x - y * y),
            -0.5900435899266435 * x * (x * x - 3 * y * y),
        ]
    return torch.stack(out, -1)


def multiply_quats(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Product of quaternions wxyz [..., 4]: first turn by b, then by a."""
    aw, ax, ay, az = a.unbind(-1)
    bw, bx, by, bz = b.unbind(-1)
    return torch.stack(
        [
            aw * bw - ax * bx - ay * by - az * bz,
            aw * bx + ax * bw + ay * bz - az * by,
            aw * by - ax * bz + ay * bw + az * bx,
            aw * bz + ax * by - ay * bx + az * bw,
        ],
        -1,
    )
