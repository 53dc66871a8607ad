"""The audit as text and as a drawing: where the cameras stand about the animal, and how far each pair disagrees."""

from __future__ import annotations

import base64
import html
import io

import cv2
import numpy as np

from mousefacelift.capture.evidence import Evidence, draw_evidence
from mousefacelift.capture.rig import Rig
from mousefacelift.capture.upright import cameras_up, fits_cameras, upright
from mousefacelift.core.coverage import ring_gaps, say_coverage

FASTEST = 300.0  # frames per second that rigs for mice are filmed at; more is a header that nobody looked at
FEW_POSES = 6  # below it a recording proves little


def describe_rig(rig: Rig) -> str:
    """The audit's numbers as a table for the terminal."""
    report = rig.report
    refinement = report["refinement"]
    lines = [
        f"{rig.recording}: {report['format']} {report['calibration']}, convention {report['convention']}, unit "
        f"{report['unit']}, "
        f"{rig.frames} frames at {rig.fps:g} fps",
        f"tangency {report['tangency']:.3%} of the width; refinement: {refinement['kind']}"
        + (
            ""
            if refinement["kind"] == "off"
            else f" (held out {refinement['held_out_before_px']:.2f} -> {refinement['held_out_after_px']:.2f} px)"
        ),
        "camera       azimuth elevation  distance     focal   principal point   hull IoU    agreement  tangency    "
        "offset",
    ]
    for camera, row, offsets in zip(rig.cameras, report["cameras"], rig.offsets):
        fx, _, cx, cy = camera.lens.fxfycxcy
        tangency = "      - " if row["tangency_px"] is None else f"{row['tangency_px']:6.2f}px"
        moved = ", ".join(f"{value:+d} from {start}" for start, value in offsets if value) or "0"
        lines.append(
            f"{camera.name:<12} {row['azimuth']:7.1f}  {row['elevation']:8.1f}  {row['distance_mm']:7.1f}mm  {fx:8.1f} "
            " "
            f"({cx:7.1f}, {cy:7.1f})  {row['hull_iou']:8.3f}  {row['ray_agreement']:11.3f}  "
            f"{tangency}  {moved}"
        )
    gaps = ring_gaps([row["azimuth"] for row in report["cameras"]])
    lines.append(
        f"ring order {', '.join(report['ring_order'])}; gaps {', '.join(f'{gap:.0f}' for gap in gaps)} degrees"
    )
    common = report["refinement"].get("common_movement_mm")
    if refinement["kind"] in ("principal_point", "orientation"):
        own = ", ".join(f"{row['name']} {np.hypot(*row['shift_px']):.1f}" for row in report["cameras"])
        lines.append(f"cameras corrected by (px): {own}; and all together by {common:.1f} mm, which nobody can see")
    own = cameras_up(rig.cameras)
    if not fits_cameras(rig.up, own):
        lines.append(
            f"the calibration's z is not up: angles here are about its own axes; set the recording's up: by how the "
            f"cameras hang it is about {np.round(own, 2).tolist()}; or track"
        )
    if rig.fps <= 0:
        lines.append(
            "no file states frames per second (pictures, arrays): set the recording's fps before anything else"
        )
    if rig.fps > FASTEST:
        lines.append(
            f"the files state {rig.fps:g} frames per second: if that is a wrong header, set the recording's fps "
            "(tracks are smoothed, and cuts told, per second)"
        )
    lines += [f"camera {row['name']}: {row['masks']}" for row in report["cameras"] if row.get("masks")]
    if report.get("distinct_poses", FEW_POSES) < FEW_POSES:
        lines.append(
            f"only {report['distinct_poses']} distinct poses in {report['frames_used']} frames: the animal rests, or "
            "frames are copies; corrections are not tested on them"
        )
    animal = report["animal"]
    lines.append(
        f"animal {animal['length_mm']:.0f} mm long, hull {animal['hull_volume_cm3']:.1f} cm3, "
        f"about ({', '.join(f'{c:.0f}' for c in animal['center_mm'])}) mm"
    )
    return "\n".join(lines)


def say_rig(rig: Rig) -> str:
    """The audit's answer in one sentence, and a second one where the cameras are few."""
    report = rig.report
    worst = min(report["cameras"], key=lambda row: row["ray_agreement"])
    faults = [row["name"] for row in report["cameras"] if row.get("masks")]
    lies = not fits_cameras(rig.up, cameras_up(rig.cameras))  # angles about another axis than up say nothing
    coverage = "" if lies else say_coverage([row["azimuth"] for row in report["cameras"]])
    return (
        f"These {len(rig.cameras)} cameras are true: their silhouettes touch within {report['tangency']:.2%} of the "
        f"picture's width, each mask is covered by the others to at least {worst['ray_agreement']:.0%}"
        + (f"; but look at the masks of {', '.join(faults)}." if faults else ".")
        + (f" {coverage}." if coverage else "")
    )


def draw_rig(rig: Rig, evidence: Evidence | None = None) -> bytes:
    """PNG: the rig from above and about the animal, the tangency of every pair of cameras, and below what the
    silhouettes and pictures show when `evidence` is given."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13, 4.4), layout="constrained")
    above, side, matrix = figure.subplots(1, 3)
    center = np.array(rig.report["animal"]["center_mm"])
    reach = 0.2 * np.mean([row["distance_mm"] for row in rig.report["cameras"]])
    turn = upright(rig.up)
    center = turn @ center
    for camera, row in zip(rig.cameras, rig.report["cameras"]):
        place, forward = turn @ camera.center, turn @ camera.R[2]
        above.plot(*place[:2], "o")
        above.arrow(*place[:2], *(reach * forward[:2]), head_width=8, color="0.4")
        above.annotate(camera.name, place[:2], fontsize=8, xytext=(4, 4), textcoords="offset points")
        side.plot(row["azimuth"], row["elevation"], "o")
        side.annotate(
            f"{camera.name}\n{row['distance_mm']:.0f} mm",
            (row["azimuth"], row["elevation"]),
            fontsize=7,
            xytext=(4, 4),
            textcoords="offset points",
        )
    above.plot(*center[:2], "k*", ms=12)
    above.set(title="from above (mm)", aspect="equal", xlabel="x", ylabel="y")
    side.set(title="about the animal", xlabel="azimuth (degrees)", ylabel="elevation (degrees)", xlim=(0, 360))
    pairs = np.array([[np.nan if e is None else e for e in row] for row in rig.report["pairs_px"]])
    shown = matrix.imshow(pairs, cmap="viridis")
    matrix.set(title="tangency of pairs (px)", xticks=range(len(pairs)), yticks=range(len(pairs)))
    figure.colorbar(shown, ax=matrix)
    figure.suptitle(f"{rig.recording}: {rig.report['convention']}, {rig.report['unit']}")
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=90)
    below = draw_evidence(evidence) if evidence else None
    if below is None:
        return stream.getvalue()
    above = cv2.imdecode(np.frombuffer(stream.getvalue(), np.uint8), cv2.IMREAD_COLOR)
    width = max(above.shape[1], below.shape[1])
    padded = [
        cv2.copyMakeBorder(p, 0, 0, 0, width - p.shape[1], cv2.BORDER_CONSTANT, value=(255,) * 3)
        for p in (above, below)
    ]
    return encode_png(np.concatenate(padded))


def encode_png(bgr: np.ndarray) -> bytes:
    """PNG of a picture uint8 [H, W, 3] in OpenCV's channel order."""
    return cv2.imencode(".png", bgr)[1].tobytes()


def page(title: str, sentence: str, table: str, picture: bytes | None) -> str:
    """One HTML page that needs nothing beside it: the sentence, the picture, the table."""
    image = f'<img src="data:image/png;base64,{base64.b64encode(picture).decode()}">' if picture else ""
    return (
        f'<!doctype html><meta charset="utf-8"><title>{html.escape(title)}</title>'
        "<style>body{font:16px sans-serif;margin:2em}img{max-width:100%}pre{overflow-x:auto;font-size:13px}</style>"
        f"<h1>{html.escape(title)}</h1><p><b>{html.escape(sentence)}</b></p>{image}<pre>{html.escape(table)}</pre>\n"
    )
