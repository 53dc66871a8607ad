"""Whole audits of virtual recordings under what was handed in: calibrations that real tools wrote for them, folders and
masks as labs keep them."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from PIL import Image

from mousefacelift.capture.audit import audit
from mousefacelift.capture.config import AuditConfig, CaptureConfig, LocateConfig, RecordingSource
from mousefacelift.capture.locate import locate_recording
from mousefacelift.capture.make_masks import ensure_masks
from mousefacelift.capture.normalise import normalise_chunk
from mousefacelift.capture.recording import open_recording
from mousefacelift.capture.sources import open_source
from mousefacelift.cli import main
from mousefacelift.core.samples import read_sample
from mousefacelift.core.video import write_mp4
from mousefacelift.errors import CalibrationError, DataError

pytestmark = pytest.mark.slow

FRAMES = 16
USED = (
    "03_crop_offset 04_opencv_yaml_fisheye 05_calibcam_fisheye_and_omni 07_string_order_ten_cameras 14_arbitrary_scale"
).split()


def film(shared, folder, cameras):
    """A recording of the rig that the handed calibrations are of, with those calibrations beside it."""
    virtual = {"frames": FRAMES, "variants": "distorted", "rig": "ring", "cameras": cameras}
    virtual |= {"width": 288, "height": 256, "noise": 0}
    name = f"ring{cameras}"
    arguments = ["--recording", name, "--out", str(folder), "--config-json", json.dumps({"virtual": virtual})]
    assert main(["virtual", "record", *arguments]) in (0, None)
    for handed in USED:
        (folder / handed).symlink_to(shared / "fixtures/real_files" / handed)
    return folder


@pytest.fixture(scope="module")
def ring(shared, tmp_path_factory):
    return film(shared, tmp_path_factory.mktemp("ring") / "ring6", 6)


@pytest.fixture(scope="module")
def ring12(shared, tmp_path_factory):
    return film(shared, tmp_path_factory.mktemp("ring") / "ring12", 12)


def audited(folder, calibration="", **source):
    given = {"videos": "videos/{camera}", "masks": "masks/{camera}", "calibration": calibration} if calibration else {}
    source = RecordingSource(frames=(0, FRAMES), **{**given, **source})
    return audit(open_recording(folder.name, folder, source), source, AuditConfig())


def assert_true(rig, tangency=0.002):
    assert rig.report["tangency"] < tangency and rig.report["refinement"]["kind"] == "off"
    assert min(camera["hull_iou"] for camera in rig.report["cameras"]) > 0.97


@pytest.mark.parametrize(
    "calibration",
    [
        "03_crop_offset/calibration_for_recording_ring6.toml",
        "04_opencv_yaml_fisheye/calibration_for_recording_ring6",
        "05_calibcam_fisheye_and_omni/for_recording_ring6.npy",
    ],
)
def test_the_true_lens_is_read_and_nothing_is_corrected(ring, calibration):
    assert_true(audited(ring, calibration))


def test_an_arbitrary_scale_is_never_taken_for_metres(ring):
    for name in ("sparse_animal_reported_326mm", "sparse_unit_not_clear"):
        with pytest.raises(CalibrationError, match="length_mm"):
            audited(ring, f"14_arbitrary_scale/{name}")
        report = audited(ring, f"14_arbitrary_scale/{name}", length_mm=103.0).report
        assert report["animal"]["length_mm"] == pytest.approx(103.0)
    with pytest.raises(CalibrationError, match="unit: mm gives an animal of"):
        audited(ring, "14_arbitrary_scale/sparse_unit_not_clear", unit="mm")


def test_twelve_cameras_belong_to_their_videos_in_the_order_of_their_numbers(ring12):
    rig = audited(ring12, "07_string_order_ten_cameras/sparse", length_mm=103.0)
    assert rig.report["tangency"] < 0.002 and rig.report["refinement"]["kind"] == "off"
    assert min(camera["hull_iou"] for camera in rig.report["cameras"]) > 0.88  # a hull of twelve masks is thin
    assert [camera.name for camera in rig.cameras] == [f"Camera{number}" for number in range(1, 13)]
    assert [path.rsplit("/", 1)[1] for path in rig.videos] == [f"{number}.mp4" for number in range(12)]


@pytest.mark.parametrize("name", ["multicam_calibration.npy", "multicam_calibration.yml"])
def test_calibcams_file_beside_videos_and_masks_is_found_with_nothing_configured(shared, ring, tmp_path, name):
    folder = tmp_path / "ring6"
    folder.mkdir()
    for kind in ("videos", "masks"):
        (folder / kind).symlink_to(ring / kind)
    shutil.copyfile(shared / "fixtures/real_files/18_calibcam_layout" / name, folder / name)
    assert_true(audited(folder))


def test_the_dannce_layout_is_found_with_nothing_configured(shared):
    folder = shared / "fixtures/real_files/02_dannce_video_folders/rec"  # its videos are empty files
    recording = open_recording("rec", folder, RecordingSource(frames=(0, 20)))
    assert [path.rsplit("/", 1)[1] for path in recording.videos] == [f"Camera{n}" for n in range(1, 7)]
    assert recording.calibration_format == "dannce_mat" and set(recording.masks) == {""}
    with pytest.raises(DataError, match="0.mp4 cannot be opened"):
        audit(recording, RecordingSource(frames=(0, 20)), AuditConfig())


def test_videos_and_masks_in_pieces_of_the_dannce_layout_are_audited(ring, tmp_path):
    folder = tmp_path / "rec"
    for kind in ("videos", "masks"):
        for camera in range(6):
            reader = open_source(ring / kind / f"{camera}.mp4")
            for first, last in ((0, 9), (9, reader.frames)):
                pictures = (reader.read(frame).rgb() for frame in range(first, last))
                write_mp4(folder / kind / f"Camera{camera + 1}" / f"{first}.mp4", pictures, reader.fps, crf=4)
    shutil.copyfile(ring / "label3d_dannce.mat", folder / "label3d_dannce.mat")
    rig = audited(
        folder,
        "label3d_dannce.mat",
        videos="videos/Camera{camera}/0.mp4",
        masks="masks/Camera{camera}/0.mp4",
    )
    assert rig.frames >= FRAMES - 2 and rig.report["tangency"] < 0.004


@pytest.mark.parametrize("kind", ["png/{camera}", "coco/{camera}.json", "npz/{camera}.npz"])
def test_masks_that_are_no_videos_give_the_rig_that_videos_give(ring, tmp_path, kind):
    folder = tmp_path / "ring6"
    folder.mkdir()
    (folder / "videos").symlink_to(ring / "videos")
    shutil.copyfile(ring / "label3d_dannce.mat", folder / "label3d_dannce.mat")
    for camera in range(6):
        reader = open_source(ring / f"masks/{camera}.mp4")
        masks = np.stack([reader.read(frame).luma() > 127 for frame in range(reader.frames)])
        write_masks(folder / kind.format(camera=camera), masks)
    rig = audited(folder, "label3d_dannce.mat", masks=kind)
    plain = audited(ring, "label3d_dannce.mat")
    assert rig.report["tangency"] < 1.2 * plain.report["tangency"] + 1e-3


def write_masks(path, masks):
    """Masks as the handed folder has them: PNG 0/1, a list of COCO run lengths, or one npz array."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".npz":
        np.savez_compressed(path, masks=masks)
    elif path.suffix == ".json":
        runs = []
        for mask in masks:
            flat = np.concatenate([[False], mask.T.ravel(), [not mask.T.ravel()[-1]]])
            edges = np.flatnonzero(flat[1:] != flat[:-1])
            counts = np.diff(np.concatenate([[0], edges])).tolist()
            runs.append({"size": list(mask.shape), "counts": counts})
        path.write_text(json.dumps(runs))
    else:
        path.mkdir()
        for frame, mask in enumerate(masks):
            Image.fromarray(mask.astype(np.uint8)).save(path / f"{frame:05d}.png")


def test_a_video_turned_by_its_display_matrix_keeps_the_animals_colours(shared, tmp_path):
    folder = shared / "fixtures/real_files/b_colour_not_tied_to_mask/recording"
    source = RecordingSource(frames=(0, 24), variant="undistorted")
    config = CaptureConfig(size=128)
    recording = ensure_masks(open_recording("r", folder, source), config, tmp_path)
    rig = audit(recording, source, config.audit)
    track = locate_recording(rig, source, LocateConfig())
    normalise_chunk(tmp_path / "chunk/index.json", rig, track, [int(frame) for frame in track.frames[:4]], config)
    grey = []
    for view in range(6):
        pictures = [read_sample(path).views[view].rgba for path in sorted((tmp_path / "chunk").glob("0*"))]
        grey.append(np.mean([picture[picture[..., 3] > 0.8][:, :3].mean() for picture in pictures]))
    assert max(grey) < 1.6 * min(grey), grey  # the wall is three times as bright as the animal
