"""The bars of the capture stage against known truth, on virtual recordings.

    python benchmarks/capture_truth.py [--width 1152] [--size 512] [--frames 12] [--fps 4] [--variant distorted]
    python benchmarks/capture_truth.py --width 288 --size 128 --frames 24 --fps 2 --supersample 4
    python benchmarks/capture_truth.py --realistic --rig-only --names mouse1,mouse2,mouse3 --seeds 0,1 --width 288
    --frames 48

Makes each recording (every name with every seed), audits it, and prints the hull IoU of the rig and the IoU of the
masks with the rendered truth, as given and as grown by the audit. Without `--rig-only` it goes on through locate and
normalise and prints how far truth vertices projected by the stored camera lie from where the true lens and the warp put
them (px), the IoU of stored alpha with the rendered truth silhouette per view, the distance of the centre from the
truth's in percent of the body length, and clipped views. `--realistic` adds calibration errors (2-13 px, 0.2-1 degree),
changed and lossy masks, a dropped frame, a cut, the acrylic band and exposure drift, as the default configuration has
them.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from mousefacelift.capture.audit import audit
from mousefacelift.capture.config import AuditConfig, CaptureConfig, LocateConfig, RecordingSource
from mousefacelift.capture.locate import locate_recording
from mousefacelift.capture.normalise import normalise_chunk
from mousefacelift.capture.recording import open_recording
from mousefacelift.capture.silhouettes import clean_mask
from mousefacelift.capture.sources import open_source
from mousefacelift.core.cameras import project
from mousefacelift.core.images import mask_iou
from mousefacelift.core.samples import read_sample
from mousefacelift.virtual.config import NO_DEFECTS, Degradations, VirtualConfig
from mousefacelift.virtual.record import write_recording
from mousefacelift.virtual.rig import project as project_lens
from mousefacelift.virtual.truth import read_lenses, render_truth, truth_mesh

REALISTIC = Degradations()
TAIL = 1  # index of the closed piece in truth/mesh.npz


def center_of_volume(folder: Path, vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """[3] centroid of the animal's closed pieces without the tail."""
    with np.load(folder / "truth" / "mesh.npz") as mesh:
        faces = faces[mesh["part"][faces[:, 0]] != TAIL]
    a, b, c = (vertices[faces[:, k]].astype(np.float64) for k in range(3))
    volumes = np.einsum("ij,ij->i", a, np.cross(b, c))
    return ((a + b + c) / 4 * volumes[:, None]).sum(0) / volumes.sum()


def compare_frame(folder: Path, variant: str, rig, track, sample, frame: int) -> dict:
    """Projection error (px), silhouette IoU per view, and centre error (mm) of one stored sample."""
    similarity, lenses = track.canonical(frame), read_lenses(folder, variant)
    vertices, faces = truth_mesh(folder, frame)
    errors, overlaps = [], []
    for lens, camera, view in zip(lenses, rig.cameras, sample.views):
        pixels = project_lens(lens, vertices.astype(np.float64))[0]
        rays = np.concatenate([camera.lens.undistort(pixels), np.ones((len(pixels), 1))], 1)
        turned = rays @ camera.R @ track.rotation.T @ view.camera.R.T
        fx, fy, cx, cy = view.camera.fxfycxcy
        placed = turned[:, :2] / turned[:, 2:] * [fx, fy] + [cx, cy]
        errors.append(np.abs(placed - project(view.camera, similarity.apply(vertices))[0]).max())
        # few pixels need many samples each: at 128 px, truths of 4x4 and 16x16 samples agree to 0.990 only
        truth = render_truth(
            folder, frame, similarity.inverse().apply_camera(view.camera), max(4, 2048 // view.camera.width)
        )[..., 3]
        overlaps.append(mask_iou(view.rgba[..., 3] > 0.5, truth > 0.5))
    position = int(np.searchsorted(track.frames, frame))
    return {
        "projection_px": max(errors),
        "iou": overlaps,
        "center_mm": float(np.linalg.norm(track.centers_raw[position] - center_of_volume(folder, vertices, faces))),
    }


def body_length(folder: Path) -> float:
    """Nose to tail base of the rest pose, mm."""
    from mousefacelift.virtual.anatomy import KEYPOINTS
    from mousefacelift.virtual.truth import truth_keypoints

    points, names = truth_keypoints(folder), [str(name) for name in KEYPOINTS]
    nose = next(i for i, name in enumerate(names) if "nose" in name.lower())
    tail = next(i for i, name in enumerate(names) if "tail" in name.lower())
    return float(np.percentile(np.linalg.norm(points[:, nose] - points[:, tail], axis=-1), 95))


def mask_overlaps(folder: Path, variant: str, rig, frames: list[int]) -> np.ndarray:
    """IoU [frames, V, 2] of masks with the rendered truth in the recording's own pictures: as given, and as grown."""
    lenses = read_lenses(folder, variant)
    rows = np.empty((len(frames), len(lenses), 2))
    for v, (lens, camera) in enumerate(zip(lenses, rig.cameras)):
        reader = open_source(rig.masks[v])
        for t, frame in enumerate(frames):
            picture, truth = reader.read(rig.file_frame(v, frame)), render_truth(folder, frame, lens)[..., 3] > 0.5
            rows[t, v] = [mask_iou(clean_mask(picture, growth) > 0, truth) for growth in (0.0, camera.mask_growth)]
        reader.close()
    return rows


def check_rig(folder: Path, args, name: str, seed: int) -> tuple:
    """Film and audit one recording, print its rig's figures; returns source, rig and the row (hull mean, hull worst,
    masks...)."""
    virtual = VirtualConfig(
        width=args.width,
        height=args.width * 8 // 9,
        frames=args.frames,
        fps=args.fps,
        variants=args.variant,
        supersample=args.supersample,
        degradations=REALISTIC if args.realistic else NO_DEFECTS,
    )
    write_recording(folder, name, virtual, seed)
    source = RecordingSource(path=str(folder), frames=(0, args.frames), variant=args.variant)
    rig = audit(open_recording(name, folder, source), source, AuditConfig())
    hull = np.array([row["hull_iou"] for row in rig.report["cameras"]])
    quarter = args.frames // 4
    masks = mask_overlaps(folder, args.variant, rig, [quarter // 2, quarter, 3 * quarter])
    refinement = rig.report["refinement"]
    print(
        f"{name} seed {seed}, {args.width} px: hull IoU mean {hull.mean():.3f}, worst camera {hull.min():.3f}; held "
        "out "
        f"{refinement['held_out_before_px']:.2f} -> {refinement['held_out_after_px']:.2f} px ({refinement['kind']}); "
        "masks against truth "
        f"{masks[..., 0].mean():.3f} as given, {masks[..., 1].mean():.3f} grown, worst view {masks.min((0, 1))[0]:.3f} "
        "and "
        f"{masks.min((0, 1))[1]:.3f}; out of step {[runs for runs in rig.offsets if runs != [[0, 0]]]}",
        flush=True,
    )
    return source, rig, (hull.mean(), hull.min(), masks[..., 0].mean(), masks[..., 1].mean())


def check_samples(folder: Path, args, source: RecordingSource, rig) -> None:
    """Locate and normalise the recording and print the figures of its samples."""
    track = locate_recording(rig, source, LocateConfig(max_border_share=1.0 if args.realistic else 0.0))
    index = folder / "samples" / "index.json"
    document = normalise_chunk(index, rig, track, range(args.frames), CaptureConfig(size=args.size))
    names = [item["name"] for item in document["items"]]
    rows = [
        compare_frame(folder, args.variant, rig, track, read_sample(index.parent / name), int(name)) for name in names
    ]
    overlaps, length = np.array([row["iou"] for row in rows]), body_length(folder)
    center = np.array([row["center_mm"] for row in rows]) / length
    clipped = sum(view["border_share"] > 0 for item in document["items"] for view in item["quality"])
    print(
        f"frames {len(rows)} of {args.frames}; projection of truth {max(row['projection_px'] for row in rows):.2e} px; "
        f"silhouette IoU mean {overlaps.mean():.4f} worst {overlaps.min():.4f}; centre mean {center.mean():.2%} worst "
        f"{center.max():.2%} of {length:.0f} mm; clipped views {clipped}"
    )
    print(f"worst silhouette per camera {', '.join(f'{v:.4f}' for v in overlaps.min(0))}", flush=True)


def main() -> None:
    """Make, process and compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--width", type=int, default=1152)
    parser.add_argument("--frames", type=int, default=12)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--variant", default="distorted", choices=("undistorted", "distorted"))
    parser.add_argument("--supersample", type=int, default=2, help="samples per pixel edge of the recording")
    parser.add_argument("--realistic", action="store_true")
    parser.add_argument("--rig-only", action="store_true", help="stop after the audit")
    parser.add_argument("--fps", type=float, default=4.0, help="slow, so that few frames show many poses")
    parser.add_argument("--names", default="truth", help="separated by commas; another name is another animal")
    parser.add_argument("--seeds", default="0", help="separated by commas")
    args = parser.parse_args()
    rows = []
    for name in args.names.split(","):
        for seed in map(int, args.seeds.split(",")):
            with tempfile.TemporaryDirectory(prefix="capture-truth-") as folder:
                source, rig, row = check_rig(Path(folder), args, name, seed)
                rows.append(row)
                if not args.rig_only:
                    check_samples(Path(folder), args, source, rig)
    low, high = np.min(rows, axis=0), np.max(rows, axis=0)
    print(
        f"{len(rows)} recordings: hull IoU mean {low[0]:.3f}-{high[0]:.3f}, worst camera {low[1]:.3f}; masks against "
        "truth "
        f"{low[2]:.3f}-{high[2]:.3f} as given, {low[3]:.3f}-{high[3]:.3f} grown"
    )


if __name__ == "__main__":
    main()
