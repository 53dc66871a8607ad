"""Gaussians small enough for a page: 17 bytes each, unpacked by templates/viewer.js.

Planes, one after the other: means as uint16 within the bounding box, logarithms of scales as uint8 within their range,
quaternions as int8, colours and opacities as uint8. The colour is that of the mean direction (no view dependence).
"""

from __future__ import annotations

import base64

import numpy as np
import torch

from mousefacelift.core.gaussians import SH_C0, Gaussians

BYTES = 17  # per Gaussian, before base64
LEAST_SCALE = 1e-5  # world units; thinner disks are drawn as if they were that thick


def pack_splat(gaussians: Gaussians, largest: int) -> dict:
    """JSON-able {count, low, span, scales, data} of Gaussians [N], those that cover most (opacity times area) if there
    are more than `largest`."""
    area = gaussians.opacities * gaussians.scales.sort(-1).values[:, 1:].prod(-1)
    chosen = gaussians.select(torch.argsort(area, descending=True)[:largest]).map(lambda t: t.detach().cpu().float())
    means = chosen.means.numpy().astype(np.float64)
    low = means.min(0) if len(means) else np.zeros(3)
    span = np.maximum(means.max(0) - low, 1e-9) if len(means) else np.ones(3)
    logs = chosen.scales.clamp_min(LEAST_SCALE).log().numpy()
    ends = (float(logs.min()), float(logs.max())) if len(logs) else (0.0, 0.0)
    quats = torch.nn.functional.normalize(chosen.quats, dim=-1).numpy()
    colour = (SH_C0 * chosen.sh[:, 0] + 0.5).clamp(0, 1).numpy()
    planes = (
        np.rint((means - low) / span * 65535).astype("<u2"),
        np.rint((logs - ends[0]) / max(ends[1] - ends[0], 1e-9) * 255).astype(np.uint8),
        np.rint(quats * 127).astype(np.int8),
        np.rint(np.concatenate([colour, chosen.opacities.numpy()[:, None]], 1) * 255).astype(np.uint8),
    )
    return {
        "count": len(means),
        "low": low.tolist(),
        "span": span.tolist(),
        "scales": ends,
        "data": base64.b64encode(b"".join(plane.tobytes() for plane in planes)).decode(),
    }
