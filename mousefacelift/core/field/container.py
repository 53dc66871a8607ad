"""A radiance field on a voxel grid: density and colour at voxel centres, trilinear between them."""

from __future__ import annotations

import io
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch

from mousefacelift.core.files import read_npz, readable, write_bytes
from mousefacelift.errors import DataError

EMPTY = -12.0  # raw density of voxels that are not active: a millionth of the light is lost in a voxel
MOST_CELLS = 200_000_000  # of a grid in a file; more would not fit into memory


@dataclass(frozen=True)
class Field:
    """A box of voxels; voxel [i, j, k] covers origin + voxel * ([i, j, k] .. [i+1, j+1, k+1]).

    Attributes:
        values: [X, Y, Z, 4], raw density f and rgb in [0, 1] at the voxel centres. The density is softplus(f) per voxel
            length.
        active: bool [X, Y, Z], the voxels that hold something or may; the others stay `EMPTY`.
        origin: float64 [3], world.
        voxel: edge length, world units.
    """

    values: torch.Tensor
    active: np.ndarray
    origin: np.ndarray
    voxel: float

    def __post_init__(self) -> None:
        shape = self.active.shape
        good = len(shape) == 3 and min(shape) >= 2 and tuple(self.values.shape) == (*shape, 4) and self.voxel > 0
        if not good:
            raise DataError(
                "the tensors of a field have wrong shapes",
                got=f"values {tuple(self.values.shape)}, active {shape}, voxel {self.voxel}",
                expected="[X, Y, Z, 4] and [X, Y, Z] with two voxels or more on every axis, a positive voxel",
            )

    @cached_property
    def live(self) -> np.ndarray:
        """uint8 [X, Y, Z]: 1 where one of the eight centres from [i, j, k] to [i+1, j+1, k+1] is active."""
        live = np.zeros(self.active.shape, np.uint8)
        inner = live[:-1, :-1, :-1]
        for corner in np.ndindex(2, 2, 2):
            inner |= self.active[tuple(slice(c, c - 1 or None) for c in corner)]
        return live

    def with_values(self, values: torch.Tensor) -> Field:
        """The same grid with other values."""
        return replace(self, values=values)

    def to(self, device: str | torch.device) -> Field:
        return self.with_values(self.values.to(device))

    def save(self, path: str | Path) -> None:
        """Atomic compressed .npz of the active voxels, float32."""
        buffer = io.BytesIO()
        values = self.values.detach().cpu().numpy()[self.active].astype(np.float32)
        box = np.array([*self.origin, self.voxel], np.float64)
        np.savez_compressed(buffer, values=values, active=self.active, box=box)
        write_bytes(path, buffer.getvalue())

    @classmethod
    def read(cls, path: str | Path) -> Field:
        """The field of a file written by `save`."""
        arrays = read_npz(path, {"values": (None, 4), "active": (None, None, None), "box": (4,)}, "field")
        with readable(path, "field"):
            active = arrays["active"].astype(bool)
            if active.size > MOST_CELLS or np.count_nonzero(active) != len(arrays["values"]):
                raise ValueError(f"{len(arrays['values'])} values for {np.count_nonzero(active)} voxels")
            if not np.isfinite(arrays["box"]).all():
                raise ValueError("a box that is not finite")
            values = empty_values(active.shape)
            values[active] = arrays["values"]
            return cls(torch.from_numpy(values), active, arrays["box"][:3].astype(np.float64), float(arrays["box"][3]))


def empty_values(shape: tuple[int, ...]) -> np.ndarray:
    """float32 [X, Y, Z, 4] of voxels that hold nothing."""
    values = np.zeros((*shape, 4), np.float32)
    values[..., 0] = EMPTY
    return values
