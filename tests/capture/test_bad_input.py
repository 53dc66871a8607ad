"""Broken recordings get an error that names what is broken, and nothing that was written is lost."""

import json
import re
import shutil
import warnings
from dataclasses import replace

import numpy as np
import pytest

from mousefacelift.capture.audit import audit
from mousefacelift.capture.config import AuditConfig, CaptureConfig, LocateConfig, RecordingSource
from mousefacelift.capture.drawing import describe_rig
from mousefacelift.capture.frames import read_in_step
from mousefacelift.capture.locate import locate_recording
from mousefacelift.capture.normalise import normalise_chunk
from mousefacelift.capture.readers import opencv_json
from mousefacelift.capture.recording import open_recording
from mousefacelift.capture.sources.video import VideoReader
from mousefacelift.cli import main
from mousefacelift.core.video import read_frames, write_mp4
from mousefacelift.errors import CalibrationError, DataError, GateFailure
from tests.capture.scenes import animal, draw_coverage, raw, write_recording


@pytest.fixture
def copy(toy, tmp_path):
    folder = tmp_path / "copy of toy"
    shutil.copytree(toy[0], folder)
    return folder


def run_audit(folder, source=None):
    source = source or RecordingSource()
    return audit(open_recording("copy", folder, source), source, AuditConfig())


def rewrite(path, indices, scale=1):
    frames = [bgr[::scale, ::scale, ::-1] for _, bgr in read_frames(path, indices)]
    write_mp4(path, frames, 10.0, crf=8)


def test_a_truncated_video_is_named(copy):
    path = copy / "videos" / "2.mp4"
    path.write_bytes(path.read_bytes()[:1500])
    with pytest.raises(DataError, match=r"2\.mp4"):
        run_audit(copy)


def test_an_empty_video_is_named(copy):
    (copy / "masks" / "1.mp4").write_bytes(b"")
    with pytest.raises(DataError, match=r"1\.mp4"):
        run_audit(copy)


def test_a_missing_video_is_named_with_its_camera(copy):
    (copy / "videos" / "3.mp4").unlink()
    with pytest.raises(DataError, match="c3"):
        run_audit(copy)


def test_masks_of_another_length_are_refused(copy):
    rewrite(copy / "masks" / "4.mp4", range(10))
    with pytest.raises(DataError, match="10 masks.*12 frames"):
        run_audit(copy)


def test_cameras_of_very_different_lengths_are_refused(copy):
    for kind in ("videos", "masks"):
        rewrite(copy / kind / "2.mp4", range(1))
    with pytest.raises(DataError, match="(?s)differ in length.*c2: 1,") as error:
        run_audit(copy)
    assert "truncated" in str(error.value)


def test_masks_of_another_size_are_refused(copy):
    rewrite(copy / "masks" / "0.mp4", range(12), scale=2)
    with pytest.raises(DataError, match="another size"):
        run_audit(copy)


def test_a_calibration_of_another_picture_size_is_refused(toy, copy):
    opencv_json.write(copy / "cameras.json", [replace(c, width=c.width * 2, height=c.height * 2) for c in raw(toy[1])])
    with pytest.raises(DataError, match="resized"):
        run_audit(copy)


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda c: replace(c, t=c.t * np.nan), "NaN"),
        (lambda c: replace(c, R=np.diag([-1, 1, 1]) @ c.R), "det R = -1"),
    ],
)
def test_a_calibration_that_is_none_is_refused(toy, copy, change, message):
    cameras = raw(toy[1])
    cameras[1] = change(cameras[1])
    opencv_json.write(copy / "cameras.json", cameras)
    with pytest.raises(CalibrationError, match=message):
        run_audit(copy)


def test_a_camera_missing_from_the_calibration_is_noticed(toy, copy):
    opencv_json.write(copy / "cameras.json", raw(toy[1])[:4])
    with pytest.raises(DataError, match="without a calibrated camera"):
        run_audit(copy)


def test_cameras_in_another_order_than_the_videos_are_refused(toy, copy):
    cameras = raw(toy[1])
    moved = [replace(cameras[(i + 2) % 5], name=f"c{i}", width=0, height=0) for i in range(5)]
    opencv_json.write(copy / "cameras.json", moved)
    with pytest.raises(CalibrationError, match="do not agree|contradicts"):
        run_audit(copy)


def test_a_copied_calibration_is_named_and_can_be_dropped(toy, copy):
    cameras = raw(toy[1])
    cameras[2] = replace(cameras[2], R=cameras[0].R, t=cameras[0].t)
    opencv_json.write(copy / "cameras.json", cameras)
    with pytest.raises(CalibrationError, match="(?s)camera c2.*a copy of camera c0's"):
        run_audit(copy)
    rig = run_audit(copy, RecordingSource(drop_cameras=("c2",)))
    assert [camera.name for camera in rig.cameras] == ["c0", "c1", "c3", "c4"]


def test_scrambled_files_are_read_right(toy, copy):
    """R transposed and centimetres: the audit says so and the rig comes out true."""
    cameras = [replace(c, R=np.asarray(c.R).T, t=np.asarray(c.t) / 10, unit=None) for c in raw(toy[1])]
    opencv_json.write(copy / "cameras.json", cameras)
    rig = run_audit(copy)
    assert rig.report["convention"] == "R^T w2c OpenCV" and rig.report["unit"] == "cm"
    for camera, truth in zip(rig.cameras, toy[1]):
        np.testing.assert_allclose(camera.w2c, truth.w2c, atol=1e-9)


def test_a_dropped_frame_is_repaired(toy, copy):
    """Camera 3 lost its frame 5: its files are one shorter, later frames are read one earlier."""
    for kind in ("videos", "masks"):
        rewrite(copy / kind / "3.mp4", [i for i in range(12) if i != 5])
    rig = run_audit(copy)
    assert rig.offsets[3][0] == [0, 0] and rig.offsets[3][-1][1] == -1 and abs(rig.offsets[3][-1][0] - 5) <= 1
    assert rig.file_frame(3, 9) == 8 and rig.file_frame(2, 9) == 9
    track = locate_recording(rig, RecordingSource(frames=(0, 12)), LocateConfig())
    assert len(track.frames) >= 10 and min(track.views["hull_iou"]) > 0.9


def test_a_camera_that_started_late_is_read_in_step_and_the_frames_before_it_are_excluded(toy, tmp_path):
    """Camera 1 began two frames after the others, camera 3 three frames before them."""
    folder, cameras, _ = toy
    write_recording(tmp_path, cameras, 16, seed=7, delays={1: -2, 3: 3})
    opencv_json.write(tmp_path / "cameras.json", raw(cameras))
    rig = run_audit(tmp_path)
    assert rig.offsets == ([[0, 0]], [[0, -2]], [[0, 0]], [[0, 3]], [[0, 0]])
    track = locate_recording(rig, RecordingSource(frames=(0, 16)), LocateConfig())
    assert track.frames.tolist() == list(range(2, 13)) and min(track.views["hull_iou"]) > 0.94
    assert "before a camera's first picture" in track.excluded[1] and "beyond the end" in track.excluded[13]


def test_frames_without_a_mask_are_excluded_and_counted(toy, copy, tmp_path):
    camera = toy[1][1]
    masks = [draw_coverage(camera, animal(t / 10, 7)) * np.uint8(t not in (4, 5)) for t in range(12)]
    write_mp4(copy / "masks" / "1.mp4", (np.repeat(m[..., None], 3, 2) for m in masks), 10.0, crf=8)
    rig, source = run_audit(copy), RecordingSource(frames=(0, 12), exclude=(2,))
    track = locate_recording(rig, source, LocateConfig())
    assert set(track.excluded) == {2, 4, 5} and "view 1" in track.excluded[4] and "exclude" in track.excluded[2]
    index = tmp_path / "000000-000011" / "index.json"
    document = normalise_chunk(index, rig, track, range(12), CaptureConfig(size=64))
    assert len(document["items"]) == 9 and set(document["header"]["excluded"]) == {"2", "4", "5"}
    kept = locate_recording(rig, replace(source, include=(4,)), LocateConfig())
    assert 4 in kept.frames


def test_a_rig_that_was_edited_is_refused_by_the_gate(toy_rig, toy_track, tmp_path):
    cameras = list(toy_rig.cameras)
    turned = np.eye(4)
    turned[:2, :2] = [[0, -1], [1, 0]]
    cameras[1] = replace(cameras[1], w2c=turned @ cameras[1].w2c)
    cameras[3] = replace(cameras[3], w2c=turned @ cameras[3].w2c)
    with pytest.raises(GateFailure, match="do not agree"):
        normalise_chunk(
            tmp_path / "c" / "index.json",
            replace(toy_rig, cameras=tuple(cameras)),
            toy_track,
            range(4),
            CaptureConfig(size=64),
        )


def test_exit_codes_and_messages_of_the_command(copy, tmp_path, capsys):
    (copy / "videos" / "0.mp4").write_bytes(b"no video")
    out = tmp_path / "rig.json"
    out.write_text("earlier result")
    assert main(["capture", "audit", str(copy), "--out", str(out)]) == 2
    assert "0.mp4" in capsys.readouterr().err and out.read_text() == "earlier result"
    assert main(["capture", "locate", str(copy), "--rig", str(out), "--out", str(tmp_path / "t.json")]) == 2
    assert main(["capture", "audit", str(tmp_path / "nowhere"), "--out", str(out)]) == 2
    bad = json.dumps({"recordings": {"x": {"frames": [5, 2]}}})
    assert main(["capture", "audit", str(copy), "--recording", "x", "--out", str(out), "--config-json", bad]) == 2


def test_seeking_returns_the_frame_that_was_asked_for(tmp_path):
    """Frame number as brightness; jumps past groups of pictures, backwards and forwards."""
    write_mp4(tmp_path / "v.mp4", (np.full((32, 48, 3), 20 + i // 3, np.uint8) for i in range(700)), 100.0, gop=50)
    reader = VideoReader(tmp_path / "v.mp4")
    for index in (0, 650, 3, 699, 301, 302, 0):
        assert abs(int(reader.read(index).luma()[16, 24]) - (20 + index // 3)) <= 2
    with pytest.raises(DataError, match="no frame 700"):
        reader.read(700)


def test_decoding_in_step_stops_when_the_consumer_does(toy):
    stream = read_in_step([str(toy[0] / "videos" / f"{v}.mp4") for v in range(5)], ((f, [f] * 5) for f in range(12)))
    first, pictures = next(stream)
    stream.close()
    assert first == 0 and len(pictures) == 5


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda mask: 255 - mask, "c0, c1.*fill most of the picture.*inverted"),
        (
            lambda mask: np.maximum(mask, np.uint8(255) * (np.arange(mask.shape[1]) < 9)[None, :, None]),
            "shows the animal whole",
        ),
    ],
    ids=["inverted", "with_a_wall"],
)
def test_masks_that_hold_more_than_the_animal_are_refused_for_what_they_are(copy, change, words):
    for path in sorted((copy / "masks").glob("*.mp4")):
        frames = [change(bgr[..., ::-1]) for _, bgr in read_frames(path, range(12))]
        write_mp4(path, frames, 10.0, crf=12)
    with pytest.raises(DataError, match=f"(?s){words}"):
        run_audit(copy)


def test_a_video_that_shows_nothing_is_named(copy):
    path = copy / "videos" / "2.mp4"
    write_mp4(path, [np.zeros_like(bgr) for _, bgr in read_frames(path, range(12))], 10.0)
    with pytest.raises(DataError, match="c2: one grey all over"):
        run_audit(copy)


def test_a_camera_that_never_shows_the_animal_whole_has_no_tangency(copy, tmp_path):
    """A tether from the animal to the picture's border in all masks of one camera."""
    path, frames = copy / "masks" / "2.mp4", []
    for _, bgr in read_frames(path, range(12)):
        rows, columns = np.nonzero(bgr[..., 0] > 127)
        bgr[int(rows.mean()) :, int(columns.mean()) - 1 : int(columns.mean()) + 2] = 255
        frames.append(bgr[..., ::-1])
    write_mp4(path, frames, 10.0, crf=12)
    source = RecordingSource()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        rig = audit(open_recording("copy", copy, source), source, AuditConfig(min_ray_agreement=0.5))
    known = [camera["tangency_px"] for camera in rig.report["cameras"]]
    assert known[2] is None and all(value < 3 for value in known[:2] + known[3:])
    json.loads(json.dumps(rig.report, allow_nan=False))
    assert re.search(r"c2 .* -   0", describe_rig(rig))
