"""Cameras as batched tensors, the form that renderers and networks take."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from mousefacelift.core.cameras import Camera
from mousefacelift.errors import CameraError


@dataclass(frozen=True)
class CameraTensors:
    """V cameras of one image size, with any leading batch dimensions.

    Args:
        w2c: [..., V, 4, 4].
        fxfycxcy: [..., V, 4] pixels.
        width, height: pixels, shared by all views.
    """

    w2c: torch.Tensor
    fxfycxcy: torch.Tensor
    width: int
    height: int

    def __post_init__(self) -> None:
        if self.w2c.shape[-2:] != (4, 4) or self.fxfycxcy.shape != self.w2c.shape[:-2] + (4,):
            raise CameraError(
                "camera tensors have wrong shapes",
                got=f"w2c {tuple(self.w2c.shape)}, fxfycxcy {tuple(self.fxfycxcy.shape)}",
                expected="[..., V, 4, 4] and [..., V, 4]",
            )

    @classmethod
    def from_cameras(cls, cameras: Sequence[Camera], device="cpu", dtype=torch.float32) -> CameraTensors:
        """Stack V cameras of equal image size."""
        sizes = {(c.width, c.height) for c in cameras}
        if len(sizes) != 1:
            raise CameraError("cameras of one batch differ in image size", got=sorted(sizes), expected="one size")
        width, height = sizes.pop()
        w2c = torch.stack([torch.from_numpy(c.w2c.copy()) for c in cameras]).to(device, dtype)
        fxfycxcy = torch.stack([torch.from_numpy(c.fxfycxcy.copy()) for c in cameras]).to(device, dtype)
        return cls(w2c, fxfycxcy, width, height)

    @classmethod
    def from_c2w(cls, c2w: torch.Tensor, fxfycxcy: torch.Tensor, width: int, height: int) -> CameraTensors:
        """From camera-to-world matrices [..., V, 4, 4] (rigid: inverted by transposition)."""
        rotation = c2w[..., :3, :3].transpose(-1, -2)
        w2c = torch.zeros_like(c2w)
        w2c[..., :3, :3] = rotation
        w2c[..., :3, 3] = -(rotation @ c2w[..., :3, 3:]).squeeze(-1)
        w2c[..., 3, 3] = 1
        return cls(w2c, fxfycxcy, width, height)

    @property
    def c2w(self) -> torch.Tensor:
        """[..., V, 4, 4] camera to world."""
        rotation = self.w2c[..., :3, :3].transpose(-1, -2)
        c2w = torch.zeros_like(self.w2c)
        c2w[..., :3, :3] = rotation
        c2w[..., :3, 3] = self.centers
        c2w[..., 3, 3] = 1
        return c2w

    @property
    def centers(self) -> torch.Tensor:
        """[..., V, 3] optical centres in the world."""
        return -(self.w2c[..., :3, :3].transpose(-1, -2) @ self.w2c[..., :3, 3:]).squeeze(-1)

    @property
    def Ks(self) -> torch.Tensor:  # noqa: N802 - gsplat's name
        """[..., V, 3, 3] intrinsic matrices."""
        fx, fy, cx, cy = self.fxfycxcy.unbind(-1)
        zero, one = torch.zeros_like(fx), torch.ones_like(fx)
        return torch.stack([fx, zero, cx, zero, fy, cy, zero, zero, one], -1).unflatten(-1, (3, 3))

    def select(self, views) -> CameraTensors:
        """The chosen views (index, slice or list along V, the V dimension kept)."""
        views = [views] if isinstance(views, int) else views
        return replace(self, w2c=self.w2c[..., views, :, :], fxfycxcy=self.fxfycxcy[..., views, :])

    def to(self, device) -> CameraTensors:
        return replace(self, w2c=self.w2c.to(device), fxfycxcy=self.fxfycxcy.to(device))
