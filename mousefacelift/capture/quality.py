"""Quality of every stored view, and the table and plot over a recording.

Measured while samples are made (`measure_view`, `measure_sample`), gathered from the chunks' indexes by
`mousefacelift capture quality` into `quality.csv` and `quality.png`.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from mousefacelift.capture.agreement import silhouette_agreement
from mousefacelift.capture.sources.picture import Picture
from mousefacelift.chunks import read_index
from mousefacelift.core.cameras import Camera
from mousefacelift.core.files import via, write_bytes
from mousefacelift.errors import DataError

AGREEMENT_SIZE = 256  # px; larger images are halved before their silhouettes are compared
# columns with a number, or none where the view shows nothing
MEASURES = ("center_offset", "blur", "exposure", "saturated", "hull_iou", "ray_agreement")
FLAGS = {  # column: (robust z beyond which a view is flagged, which side is bad)
    "blur": (-6.0, "unsharp"),
    "exposure": (8.0, "exposure unlike the rest of the recording"),
    "area_share": (8.0, "size unlike the rest of the recording"),
    "hull_iou": (-8.0, "silhouettes disagree"),
}


def measure_view(
    rgba: np.ndarray,
    box: tuple[int, int, int, int],
    mask: np.ndarray,
    place: tuple[int, int, int, int],
    picture: Picture,
) -> dict:
    """Numbers of one canonical view.

    Args:
        rgba: uint8 [S, S, 4] canonical image, transparent outside `box` (x0, y0, x1, y1).
        mask: uint8 0/1 [h, w] of its bounding box `place` (x, y, w, h) in the full picture.
    Returns:
        center_offset (px from the middle to the silhouette's centroid), area_share, extent_share (largest half extent
        over half the size), border_share (of the outermost pixels covered; 0 means not clipped), blur (variance of the
        Laplacian of luma inside the animal at full resolution; small is unsharp), exposure (mean luma 0..1),
        saturated (share of luma at 0 or 255).
    """
    size = rgba.shape[0]
    x0, y0, x1, y1 = box
    inside = (rgba[y0:y1, x0:x1, 3] > 127).view(np.uint8)
    left, top, width, height = cv2.boundingRect(inside) if inside.size else (0, 0, 0, 0)
    moments = cv2.moments(inside[top : top + height, left : left + width], binaryImage=True) if width else {"m00": 0.0}
    row = {
        "center_offset": None,
        "area_share": moments["m00"] / size**2,
        "extent_share": 0.0,
        "border_share": _border(rgba[..., 3]),
        "blur": None,
        "exposure": None,
        "saturated": None,
    }
    x, y, w, h = place
    if not moments["m00"] or not w:
        return row
    corner = np.array([x0 + left, y0 + top])
    middle = np.array([moments["m10"], moments["m01"]]) / moments["m00"] + corner + 0.5 - size / 2
    row["center_offset"] = float(np.hypot(*middle))
    edges = np.concatenate([corner, corner + [width, height]]) - size / 2
    row["extent_share"] = float(np.abs(edges).max() / (size / 2))
    return row | _measure_light(picture.luma(slice(y, y + h), slice(x, x + w)), mask)


def _measure_light(luma: np.ndarray, mask: np.ndarray) -> dict:
    """blur, exposure and saturated of the full-resolution luma inside a mask 0/1 of the same box."""
    core = cv2.erode(mask, np.ones((5, 5), np.uint8))
    core = core if core.any() else mask
    spread = cv2.meanStdDev(cv2.Laplacian(luma, cv2.CV_16S), mask=core)[1]
    counts = cv2.calcHist([luma], [0], mask, [256], [0, 256]).ravel()
    total = counts.sum()
    return {
        "blur": float(spread[0, 0] ** 2),
        "exposure": float(counts @ np.arange(256) / total / 255),
        "saturated": float((counts[0] + counts[255]) / total),
    }


def _border(alpha: np.ndarray) -> float:
    edge = np.concatenate([alpha[0], alpha[-1], alpha[:, 0], alpha[:, -1]])
    return float((edge > 127).mean())


def measure_sample(images: Sequence[np.ndarray], cameras: Sequence[Camera]) -> dict[str, list]:
    """hull_iou and ray_agreement per view of the stored images under the stored cameras (None without a silhouette)."""
    size = images[0].shape[0]
    small = min(size, AGREEMENT_SIZE)
    masks = np.stack([_shrink(image[..., 3], small) > 127 for image in images])
    scaled = [camera.scaled_to(small, small) for camera in cameras]
    center = np.zeros(3)
    reach = max(0.5 * small / c.fxfycxcy[0] * np.linalg.norm(c.center) for c in scaled)
    iou, ray_agreement = silhouette_agreement(
        masks, scaled, center, 1.2 * reach, stride=max(1, small // 128), depths=96
    )
    return {"hull_iou": _listed(iou), "ray_agreement": _listed(ray_agreement)}


def _shrink(alpha: np.ndarray, size: int) -> np.ndarray:
    return alpha if alpha.shape[0] == size else cv2.resize(alpha, (size, size), interpolation=cv2.INTER_AREA)


def _listed(values: np.ndarray) -> list:
    return [None if np.isnan(value) else float(value) for value in values]


@dataclass(frozen=True)
class QualityTable:
    """rows: DataFrame, one row per frame and view and one per excluded frame (view -1); cuts: first frames after
    cuts."""

    recording: str
    fps: float
    rows: pd.DataFrame
    cuts: list[int]


def quality_table(indexes: Sequence[str | Path]) -> QualityTable:
    """The table of a recording's chunks: every view, excluded frames with their reason, outliers flagged.

    Raises:
        DataError: no sample was written, or the chunks are of different recordings.
    """
    tables, excluded, header = [], {}, None
    for index in indexes:
        document = read_index(index)
        if header and document["header"]["recording"] != header["recording"]:
            raise DataError(
                "chunks of different recordings cannot share a table",
                got=document["header"]["recording"],
                expected=header["recording"],
            )
        header = document["header"]
        excluded |= {int(frame): reason for frame, reason in header["excluded"].items()}
        names = header["cameras"]
        rows = [
            {"frame": item["frame"], "time_s": item["time_s"], "view": v, "camera": names[v], **numbers}
            for item in document["items"]
            for v, numbers in enumerate(item["quality"])
        ]
        if rows:  # as a table, which takes a tenth of the memory
            tables.append(pd.DataFrame(rows).astype(dict.fromkeys(MEASURES, float)))
    if not tables:
        raise DataError(
            "no sample was written in any of the chunks",
            where=", ".join(map(str, indexes)),
            likely="every frame was excluded: see track.json",
            hint="mousefacelift capture normalise",
        )
    table = pd.concat(tables, ignore_index=True).sort_values(["frame", "view"], ignore_index=True)
    table["flag"] = flag_outliers(table)
    table["excluded"] = ""
    left_out = pd.DataFrame(
        [
            {"frame": frame, "time_s": frame / header["fps"], "view": -1, "flag": "", "excluded": reason}
            for frame, reason in sorted(excluded.items())
        ]
    )
    table = pd.concat([table, left_out], ignore_index=True) if len(left_out) else table
    return QualityTable(header["recording"], header["fps"], table, header["cuts"])


def flag_outliers(table: pd.DataFrame) -> list[str]:
    """Per row the reasons why it stands out from its own camera's other frames (robust z-scores), or ""."""
    flags = [[] for _ in range(len(table))]
    for _, group in table.groupby("view"):
        for column, (limit, reason) in FLAGS.items():
            values = group[column].astype(float)
            middle = values.median()
            spread = max(1.4826 * (values - middle).abs().median(), 0.02 * abs(middle), 1e-6)
            z = (values - middle) / spread
            bad = z < limit if limit < 0 else z.abs() > limit
            for position in group.index[bad]:
                flags[position].append(reason)
    for position in np.flatnonzero(table["border_share"].to_numpy(float) > 0):
        flags[position].append("clipped")
    return ["; ".join(reasons) for reasons in flags]


def summary(table: QualityTable) -> dict:
    """Numbers over a recording for people: medians, worst cases and counts."""
    views = table.rows[table.rows["view"] >= 0]
    sizes = np.sqrt(views["area_share"]).groupby(views["frame"]).agg(["mean", "std"])
    return {
        "frames": int(views["frame"].nunique()),
        "excluded": int((table.rows["view"] < 0).sum()),
        "flagged": int((views["flag"] != "").sum()),
        "hull_iou_mean": float(views["hull_iou"].mean()),
        "ray_agreement_mean": float(views["ray_agreement"].mean()),
        "clipped": int((views["border_share"] > 0).sum()),
        "center_offset_px": float(views["center_offset"].median()),
        "size_variation": float((sizes["std"] / sizes["mean"]).median()),
    }


def write_quality(table: QualityTable, path: str | Path) -> dict:
    """Write the CSV and, beside it, the plot; returns the summary."""
    with via(path, "table") as temporary:
        table.rows.to_csv(temporary, index=False)
    write_bytes(Path(path).with_suffix(".png"), _plot(table))
    return summary(table)


def _plot(table: QualityTable) -> bytes:
    from matplotlib.figure import Figure

    views, excluded = table.rows[table.rows["view"] >= 0], table.rows[table.rows["view"] < 0]
    columns = (
        ("hull_iou", "hull IoU"),
        ("ray_agreement", "ray agreement"),
        ("center_offset", "centre offset (px)"),
        ("area_share", "area (share)"),
        ("blur", "sharpness"),
        ("exposure", "exposure"),
    )
    figure = Figure(figsize=(11, 9), layout="constrained")
    for axis, (column, label) in zip(figure.subplots(3, 2, sharex=True).ravel(), columns):
        for name, group in views.groupby("camera"):
            axis.plot(group["time_s"], group[column], lw=0.9, marker=".", ms=3, label=name)
        flagged = views[views["flag"] != ""]
        axis.plot(flagged["time_s"], flagged[column], "rx", ms=6)
        for time in excluded["time_s"]:
            axis.axvline(time, color="0.8", lw=1, zorder=0)
        for cut in table.cuts:
            axis.axvline(cut / table.fps, color="k", lw=1, ls=":")
        axis.set_ylabel(label)
        axis.set_xlabel("time (s)")
    figure.axes[0].legend(fontsize=7, ncols=3)
    figure.suptitle(
        f"{table.recording}: {views['frame'].nunique()} frames, {len(excluded)} excluded (grey), cuts dotted"
    )
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=90)
    return stream.getvalue()
