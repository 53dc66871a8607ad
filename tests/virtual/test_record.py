"""Whole virtual recordings: the public layout on disk, exact truth, determinism, and every defect where it was asked
for."""

import json
import pickle
from dataclasses import replace

import cv2
import numpy as np
import pytest

from mousefacelift.capture.readers import dannce_mat, mammal_pickle
from mousefacelift.core.cameras import project
from mousefacelift.core.images import mask_iou
from mousefacelift.core.video import frame_count, read_frames
from mousefacelift.errors import ConfigError, DataError
from mousefacelift.virtual import rig, truth
from mousefacelift.virtual.config import NO_DEFECTS, VirtualConfig
from mousefacelift.virtual.record import write_recording

SMALL = VirtualConfig(width=144, height=128, frames=5, fps=20.0, strands=1500, variants="both", degradations=NO_DEFECTS)


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    return write_recording(tmp_path_factory.mktemp("virtual") / "maus eins ä", "maus", SMALL, 7)


def masks_of(folder, sub, camera):
    return [
        frame[..., 0] > 127
        for _, frame in read_frames(folder / sub / f"{camera}.mp4", range(frame_count(folder / sub / f"{camera}.mp4")))
    ]


def test_the_layout_is_the_public_one_and_recording_json_is_the_last_file(recording):
    for sub in ("videos", "masks", "videos_undist", "simpleclick_undist"):
        assert sorted(p.name for p in (recording / sub).iterdir()) == [f"{i}.mp4" for i in range(6)]
        capture = cv2.VideoCapture(str(recording / sub / "0.mp4"))
        assert capture.get(cv2.CAP_PROP_FRAME_COUNT) == 5 and capture.get(cv2.CAP_PROP_FPS) == pytest.approx(20)
        assert capture.read()[1].shape == (128, 144, 3)
    newest = max((p for p in recording.rglob("*") if p.is_file()), key=lambda p: p.stat().st_mtime_ns)
    assert newest.name == "recording.json"
    summary = json.loads(newest.read_text())
    assert summary["fps"] == 20.0 and summary["frames"] == 5 and summary["variants"] == ["undistorted", "distorted"]


def test_new_cam_holds_plain_dicts_in_mm_with_0_based_pixels(recording):
    entries = pickle.loads((recording / "new_cam.pkl").read_bytes())
    lenses = truth.read_lenses(recording)
    assert len(entries) == 6 and set(entries[0]) == {"K", "R", "T"}
    for entry, lens in zip(entries, lenses):
        assert entry["K"][0, 2] == pytest.approx(lens.intrinsics[2] - 0.5) and entry["K"][0, 1] == 0
        assert np.allclose(-entry["R"].T @ entry["T"].ravel(), lens.center)


def test_both_calibrations_come_back_as_the_true_lenses(recording):
    for reader, file, variant in (
        (mammal_pickle, "new_cam.pkl", "undistorted"),
        (dannce_mat, "label3d_dannce.mat", "distorted"),
    ):
        for camera, lens in zip(reader.read(recording / file), truth.read_lenses(recording, variant)):
            fx, fy, cx, cy, skew = lens.intrinsics
            assert np.allclose(camera.K, [[fx, skew, cx], [0, fy, cy], [0, 0, 1]])
            assert np.allclose(camera.R, lens.rotation) and np.allclose(camera.t, lens.translation)
            assert np.allclose(camera.distortion[:5], lens.distortion)


@pytest.mark.parametrize("variant, sub", [("undistorted", "simpleclick_undist"), ("distorted", "masks")])
def test_masks_are_the_silhouettes_of_the_true_mesh(recording, variant, sub):
    for camera, lens in enumerate(truth.read_lenses(recording, variant)):
        mask = masks_of(recording, sub, camera)[3]
        rendered = np.round(truth.render_truth(recording, 3, lens)[..., 3] * 255) > 127  # half covered pixels are many
        assert mask_iou(mask, rendered) > 0.999  # mask videos are lossless unless degradations say otherwise
        vertices, _ = truth.truth_mesh(recording, 3)
        columns, rows = np.clip(rig.project(lens, vertices)[0].astype(int), 0, [143, 127]).T
        near = cv2.dilate(mask.astype(np.uint8), np.ones((5, 5)))
        assert near[rows, columns].mean() > 0.97


def test_pictures_show_the_rendered_truth_on_the_arena(recording):
    lens = truth.read_lenses(recording)[5]
    ((_, frame),) = read_frames(recording / "videos_undist/5.mp4", [2])
    rgba = truth.render_truth(recording, 2, lens.pinhole())
    inside = cv2.erode((rgba[..., 3] > 0.99).astype(np.uint8), np.ones((3, 3))) > 0
    assert inside.sum() > 50
    assert np.abs(frame[..., ::-1][inside] / 255.0 - rgba[inside, :3]).mean() < 0.03


def test_truth_is_complete(recording):
    vertices, faces = truth.truth_mesh(recording, 4)
    keypoints = truth.truth_keypoints(recording)
    assert vertices.shape[1] == 3 and faces.max() == len(vertices) - 1 and vertices[:, 2].min() > 0
    assert keypoints.shape == (5, 22, 3)
    low, high = vertices.min(0) - 6, vertices.max(0) + 6
    assert np.all((keypoints[4] > low) & (keypoints[4] < high))
    camera = truth.true_cameras(recording)[0]
    assert np.abs(project(camera, vertices)[0] - rig.project(truth.read_lenses(recording)[0], vertices)[0]).max() < 1e-9
    with np.load(recording / "truth/mesh.npz") as mesh:
        assert mesh["faces_uv"].shape == faces.shape and mesh["colours"].shape == vertices.shape
    with pytest.raises(DataError, match="no frame 5"):
        truth.truth_mesh(recording, 5)
    with pytest.raises(DataError, match="no truth"):
        truth.truth_keypoints(recording.parent)


def test_vertices_come_back_from_the_motion_when_they_are_not_stored(recording, tmp_path):
    lean = write_recording(
        tmp_path / "b",
        "maus",
        replace(SMALL, frames=5, truth_vertices=False, variants="undistorted", width=64, height=56, strands=200),
        7,
    )
    assert not list((lean / "truth").glob("vertices_*"))
    assert np.array_equal(truth.truth_mesh(lean, 4)[0], truth.truth_mesh(recording, 4)[0])


def test_the_same_seed_gives_the_same_files_and_another_name_another_animal(tmp_path):
    tiny = replace(SMALL, width=64, height=56, strands=200, frames=3, variants="distorted")
    a, b, c = (
        write_recording(tmp_path / folder, name, tiny, 1, workers)
        for folder, name, workers in (("a", "one", 1), ("b", "one", 3), ("c", "two", 2))
    )
    for file in ("videos/3.mp4", "masks/3.mp4", "label3d_dannce.mat"):
        if file.endswith(".mp4"):
            assert (a / file).read_bytes() == (b / file).read_bytes()
    assert not np.allclose(truth.truth_keypoints(a), truth.truth_keypoints(c))
    assert not (a / "videos_undist").exists() and not (a / "new_cam.pkl").exists()


def test_defects_are_in_the_recording_and_not_in_its_truth(tmp_path):
    spoil = replace(
        NO_DEFECTS,
        principal_point_px=(8, 13),
        dropped_frame_camera=1,
        copied_calibration_camera=4,
        cut=True,
        mask_change_px=(20, 20),
        exposure_drift=0.2,
    )
    tiny = replace(SMALL, width=96, height=84, strands=500, frames=6, variants="undistorted", degradations=spoil)
    folder = write_recording(tmp_path / "bad", "bad", tiny, 3)
    assert [frame_count(folder / f"videos_undist/{i}.mp4") for i in range(6)] == [6, 5, 6, 6, 6, 6]
    assert frame_count(folder / "simpleclick_undist/1.mp4") == 5
    written = mammal_pickle.read(folder / "new_cam.pkl")
    assert np.array_equal(written[4].K, written[5].K) and np.array_equal(written[4].R, written[5].R)
    true = truth.read_lenses(folder)
    assert np.linalg.norm(written[0].K[:2, 2] - true[0].intrinsics[2:4]) == pytest.approx(10.5 / 12, abs=2.6 / 12)
    body = truth.truth_keypoints(folder)[:, 4, :2]
    jumps = np.linalg.norm(np.diff(body, axis=0), axis=1)
    assert np.argmax(jumps) == 2 and jumps[2] > 70
    for camera in range(6):
        changed = masks_of(folder, "simpleclick_undist", camera)[0].sum()
        exact = (truth.render_truth(folder, 0, true[camera])[..., 3] > 0.5).sum()
        assert changed > 1.15 * exact or changed < 0.9 * exact


@pytest.mark.parametrize(
    "change, named",
    [
        ({"width": 145}, "even"),
        ({"frames": 0}, "frames"),
        ({"fps": 200.0}, "fps"),
        ({"cameras": 5}, "6 cameras"),
        ({"degradations": replace(NO_DEFECTS, dropped_frame_camera=6)}, "dropped_frame_camera"),
        ({"degradations": replace(NO_DEFECTS, mask_change_px=(3, 1))}, "mask_change_px"),
        ({"mesh": "/nowhere"}, "nowhere"),
    ],
)
def test_a_recording_that_cannot_be_made_is_refused_before_anything_is_written(tmp_path, change, named):
    with pytest.raises((ConfigError, DataError), match=named):
        write_recording(tmp_path / "r", "r", replace(SMALL, **change), 0)
    assert not (tmp_path / "r").exists()


def test_an_interrupted_filming_leaves_no_recording_json_and_no_half_videos(tmp_path, monkeypatch):
    from mousefacelift.virtual import record

    def fail(*args, **kwargs):
        raise RuntimeError("lamp broke")

    monkeypatch.setattr(record.degrade, "sense", fail)
    with pytest.raises(RuntimeError, match="lamp broke"):
        write_recording(tmp_path / "r", "r", replace(SMALL, frames=2, strands=200), 0)
    assert not (tmp_path / "r/recording.json").exists() and not list((tmp_path / "r").rglob("*.mp4"))


def test_a_filmed_recording_is_never_overwritten(tmp_path):
    (tmp_path / "mine/videos").mkdir(parents=True)
    (tmp_path / "mine/videos/0.mp4").write_bytes(b"film")
    with pytest.raises(DataError, match="no virtual recording wrote"):
        write_recording(tmp_path / "mine", "maus", SMALL, 7)
    assert (tmp_path / "mine/videos/0.mp4").read_bytes() == b"film" and len(list((tmp_path / "mine").iterdir())) == 1
