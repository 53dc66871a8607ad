import json
from dataclasses import replace

import numpy as np
import pytest

from mousefacelift.core.cameras import canonical_fxfycxcy, orbit, ring
from mousefacelift.core.images import (
    composite,
    encode_png,
    premultiply,
    read_rgba,
    resize_rgba,
    unpremultiply,
    write_png,
    zoom_rgba,
)
from mousefacelift.core.records import SampleFacts, ViewFacts
from mousefacelift.core.samples import Sample, View, read_sample, view_hash, write_sample
from mousefacelift.errors import CameraError, DataError


def make_sample(rng, views=3, size=16):
    return Sample(
        tuple(
            View(rng.random((size, size, 4)).astype(np.float32), camera, ViewFacts(details={"view": i}))
            for i, camera in enumerate(ring(views, size))
        ),
        SampleFacts("object", asset="toy", frame=7, config_hash="toy"),
    )


def test_a_sample_survives_the_disk(tmp_path, rng):
    sample = make_sample(rng)
    hashes = write_sample(tmp_path / "s", sample)
    again = read_sample(tmp_path / "s")
    assert replace(again.facts, code="", versions={}) == sample.facts
    assert [v.facts for v in again.views] == [v.facts for v in sample.views]
    for old, new in zip(sample.views, again.views):
        assert np.abs(old.rgba - new.rgba).max() <= 0.5 / 255 + 1e-6
        assert np.array_equal(old.camera.w2c, new.camera.w2c)
    frames = json.loads((tmp_path / "s/opencv_cameras.json").read_text())["frames"]
    assert [f["hash"] for f in frames] == hashes
    assert [view_hash((tmp_path / "s" / f["file_path"]).read_bytes(), f) for f in frames] == hashes


def test_the_hash_sees_the_camera_and_the_image(rng):
    frame = make_sample(rng).views[0].camera.to_frame("images/cam_000.png")
    first = view_hash(b"png", frame)
    assert view_hash(b"pnG", frame) != first and view_hash(b"png", frame | {"fx": frame["fx"] + 1e-9}) != first
    assert view_hash(b"png", frame | {"file_path": "elsewhere"}) == first


def test_chosen_views_are_read_in_the_order_asked(tmp_path, rng):
    write_sample(tmp_path / "s", make_sample(rng))
    assert [v.facts.details["view"] for v in read_sample(tmp_path / "s", [2, 0]).views] == [2, 0]
    with pytest.raises(DataError, match="fewer views"):
        read_sample(tmp_path / "s", [3])


def test_writing_again_replaces_and_leaves_nothing_behind(tmp_path, rng):
    write_sample(tmp_path / "s", make_sample(rng, views=4))
    write_sample(tmp_path / "s", make_sample(rng, views=2))
    assert len(read_sample(tmp_path / "s").views) == 2 and [p.name for p in tmp_path.iterdir()] == ["s"]


def test_image_and_camera_of_other_sizes_are_refused(rng):
    with pytest.raises(DataError, match="differ in size"):
        View(np.zeros((8, 16, 4), np.float32), orbit(0, 0, 2.7, canonical_fxfycxcy(16), 16, 16))


def test_a_truncated_image_is_named(tmp_path, rng):
    write_sample(tmp_path / "s", make_sample(rng))
    path = tmp_path / "s/images/cam_001.png"
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(DataError, match="cam_001.png cannot be decoded"):
        read_sample(tmp_path / "s")


def test_a_mirrored_camera_in_a_file_is_named(tmp_path, rng):
    write_sample(tmp_path / "s", make_sample(rng))
    path = tmp_path / "s/opencv_cameras.json"
    document = json.loads(path.read_text())
    document["frames"][2]["w2c"][2] = [-x for x in document["frames"][2]["w2c"][2]]
    path.write_text(json.dumps(document))
    with pytest.raises(CameraError, match="camera 2 of"):
        read_sample(tmp_path / "s")


def test_an_image_without_alpha_is_refused(tmp_path, rng):
    write_png(tmp_path / "white.png", rng.random((8, 8, 3)))
    with pytest.raises(DataError, match="no alpha"):
        read_rgba(tmp_path / "white.png")


def test_straight_alpha_survives_premultiplication_and_resizing(rng):
    rgba = rng.random((16, 16, 4)).astype(np.float32)
    rgba[..., 3] = rgba[..., 3] * 0.9 + 0.1
    assert np.abs(unpremultiply(premultiply(rgba)) - rgba).max() < 1e-5
    rgba[..., :3] = 0.25
    rgba[:4, :, 3] = 0
    assert np.abs(resize_rgba(rgba, 8, 8)[4:, :, :3] - 0.25).max() < 1e-4  # no dark fringe from transparent pixels
    assert np.allclose(composite(np.zeros((2, 2, 4)), (0.2, 0.4, 0.6)), [0.2, 0.4, 0.6])


def test_nan_images_are_never_written():
    with pytest.raises(DataError, match="not finite"):
        encode_png(np.full((4, 4, 4), np.nan))


@pytest.mark.parametrize(
    "stranger", ["notes.txt", "images/holiday.jpg", "images/more/cam_000.png", "opencv_cameras.json.bak"]
)
def test_a_folder_that_holds_more_than_a_sample_is_refused_and_untouched(tmp_path, rng, stranger):
    write_sample(tmp_path / "s", make_sample(rng))
    (tmp_path / "s" / stranger).parent.mkdir(exist_ok=True)
    (tmp_path / "s" / stranger).write_text("mine")
    with pytest.raises(DataError, match="no part of a sample"):
        write_sample(tmp_path / "s", make_sample(rng, views=2))
    assert (tmp_path / "s" / stranger).read_text() == "mine" and len(read_sample(tmp_path / "s").views) == 3


@pytest.mark.parametrize("scale", [0.25, 1.0, 2.0])
def test_zooming_keeps_the_point_that_it_is_about(scale):
    rgba = np.zeros((32, 48, 4), np.float32)
    rgba[8:16, 20:28] = [0.2, 0.4, 0.6, 1.0]  # its middle is at (24, 12), pixel corners at whole numbers
    shown = zoom_rgba(rgba, np.full(2, scale), np.array([24.0, 12.0]), np.array([20.0, 16.0]), (40, 32))
    rows, columns = np.nonzero(shown[..., 3] > 0.5)
    assert (columns.mean() + 0.5, rows.mean() + 0.5) == pytest.approx((20.0, 16.0))
    assert len(rows) == pytest.approx(64 * scale**2, rel=0.1)
    np.testing.assert_allclose(shown[16, 20], [0.2, 0.4, 0.6, 1.0], atol=1e-6)
