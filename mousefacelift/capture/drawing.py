"""The audit as text and as a drawing: where the cameras stand about the animal, and how far each pair disagrees."""

from __future__ import annotations

import io

import numpy as np

from mousefacelift.capture.rig import Rig


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
        "camera       azimuth elevation  distance     focal   principal point   hull IoU  containment  tangency    "
        "offset",
    ]
    for camera, row, offsets in zip(rig.cameras, report["cameras"], rig.offsets):
        fx, _, cx, cy = camera.lens.fxfycxcy
        moved = ", ".join(f"{value:+d} from {start}" for start, value in offsets if value) or "0"
        lines.append(
            f"{camera.name:<12} {row['azimuth']:7.1f}  {row['elevation']:8.1f}  {row['distance_mm']:7.1f}mm  {fx:8.1f} "
            " "
            f"({cx:7.1f}, {cy:7.1f})  {row['hull_iou']:8.3f}  {row['containment']:11.3f}  {row['tangency_px']:6.2f}px  "
            f"{moved}"
        )
    azimuths = np.sort([row["azimuth"] for row in report["cameras"]])
    gaps = np.diff(np.append(azimuths, azimuths[0] + 360))
    lines.append(
        f"ring order {', '.join(report['ring_order'])}; gaps {', '.join(f'{gap:.0f}' for gap in gaps)} degrees"
    )
    animal = report["animal"]
    lines.append(
        f"animal {animal['length_mm']:.0f} mm long, hull {animal['hull_volume_cm3']:.1f} cm3, "
        f"about ({', '.join(f'{c:.0f}' for c in animal['center_mm'])}) mm"
    )
    return "\n".join(lines)


def draw_rig(rig: Rig) -> bytes:
    """PNG: the rig from above and from the side about the animal, and the tangency of every pair of cameras."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13, 4.4), layout="constrained")
    above, side, matrix = figure.subplots(1, 3)
    center = np.array(rig.report["animal"]["center_mm"])
    reach = 0.2 * np.mean([row["distance_mm"] for row in rig.report["cameras"]])
    for camera, row in zip(rig.cameras, rig.report["cameras"]):
        place, forward = camera.center, camera.R[2]
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
    return stream.getvalue()
