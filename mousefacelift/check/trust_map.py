"""Where a model may be trusted: error against the angle to the nearest picture that was given, and against pose."""

from __future__ import annotations

import numpy as np
import pandas as pd

from mousefacelift.check.config import EvaluateConfig
from mousefacelift.check.statistics import block_interval

ANGLES = (0, 15, 45, 75, 105, 135, 181)  # degrees; below 15 it is a given picture's own side
STEEP = 35.0  # degrees of the body's long axis from which it is rearing
FEW = 6  # moments below which poses are not told apart
MODEL, MEAN = "model", "mean_image"
NEEDED = ["method", "angle", "stretch", "pitch", "iou", "full_psnr"]


def pose_classes(moments: pd.DataFrame) -> pd.Series:
    """Name of every moment's pose, from its `stretch` and `pitch`: "rearing", or a third of the others by stretch."""
    if len(moments) < FEW:
        return pd.Series("all poses", index=moments.index)
    rears = moments["pitch"] >= STEEP
    low, high = moments.loc[~rears, "stretch"].quantile([1 / 3, 2 / 3]) if (~rears).any() else (0.0, 0.0)
    names = np.select(
        [rears, moments["stretch"] <= low, moments["stretch"] <= high],
        ["rearing", "curled up", "in between"],
        "stretched out",
    )
    return pd.Series(names, index=moments.index)


def trust_cells(table: pd.DataFrame, config: EvaluateConfig) -> list[dict]:
    """One entry per angle and pose that was judged.

    Args:
        table: rows per (method, recording, frame, view) with angle, stretch, pitch, iou and full_psnr.
    Returns:
        {from, to: degrees, pose, iou, full_psnr, mean_iou (of the mean image), gain (full PSNR over the mean image, per
        moment), low, high (its 95% interval; NaN below 3 moments), views, moments, trusted}. A cell is trusted where
        the model beats the mean image in both, the whole interval of the gain included if there is one.
    """
    keys = ["recording", "frame"]
    table = table.loc[table["method"].isin((MODEL, MEAN)), [*keys, *NEEDED]]
    moments = table[table["method"] == MODEL].groupby(keys, observed=True)[["stretch", "pitch"]].mean()
    poses = pose_classes(moments).astype("category")
    table["pose"] = poses.reindex(pd.MultiIndex.from_frame(table[keys])).array
    cells = []
    for low, high in zip(ANGLES[:-1], ANGLES[1:], strict=True):
        for pose in ("all poses", "curled up", "in between", "stretched out", "rearing"):
            part = table[(table["angle"] >= low) & (table["angle"] < high) & (table["pose"] == pose)]
            if (part["method"] == MODEL).any():
                cells.append({"from": low, "to": min(high, 180), "pose": pose} | _cell(part, config))
    return cells


def _cell(part: pd.DataFrame, config: EvaluateConfig) -> dict:
    model, mean = (part[part["method"] == name] for name in (MODEL, MEAN))
    means = [rows.groupby(["recording", "frame"], observed=True)["full_psnr"].mean() for rows in (model, mean)]
    series = (means[0] - means[1]).dropna().sort_index().to_numpy()
    low, high = block_interval(series, config.bootstrap)
    iou, mean_iou = float(model["iou"].mean()), float(mean["iou"].mean())
    gain = float(series.mean()) if len(series) else float("nan")
    return {
        "iou": iou,
        "full_psnr": float(model["full_psnr"].mean()),
        "mean_iou": mean_iou,
        "gain": gain,
        "low": low,
        "high": high,
        "views": len(model),
        "moments": len(series),
        "trusted": bool(iou > mean_iou and (low if np.isfinite(low) else gain) > 0),
    }
