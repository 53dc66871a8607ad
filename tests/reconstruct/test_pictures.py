"""Pictures of users as inputs."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mousefacelift.core.cameras import Camera, canonical_fxfycxcy, orbit, project
from mousefacelift.core.samples import View
from mousefacelift.errors import DataError
from mousefacelift.reconstruct.pictures import LARGEST, frame_picture, read_picture, reframe


def framed_box(rgba, area):
    view = frame_picture(rgba, 128, 15.0, "a.png", area)
    columns, rows = (np.flatnonzero((view.rgba[..., 3] > 0.5).any(axis)) for axis in (0, 1))
    return view, (columns[0], columns[-1] + 1), (rows[0], rows[-1] + 1)


def test_a_picture_is_framed_like_the_training_images(tmp_path):
    rgba = np.zeros((200, 300, 4), np.float32)
    rgba[50:110, 180:280] = (0.2, 0.4, 0.6, 1.0)
    Image.fromarray((rgba * 255).astype(np.uint8), "RGBA").save(tmp_path / "a.png")
    view, columns, rows = framed_box(read_picture(tmp_path / "a.png"), 0.1)
    assert view.rgba[..., 3].mean() == pytest.approx(0.1, rel=0.03)
    assert sum(columns) == pytest.approx(128, abs=2) and sum(rows) == pytest.approx(128, abs=2)
    np.testing.assert_allclose(view.rgba[64, 64], (0.2, 0.4, 0.6, 1.0), atol=0.01)


def test_the_body_is_in_the_middle_whatever_the_tail_does_and_nothing_is_cut():
    rgba = np.zeros((200, 400, 4), np.float32)
    rgba[80:120, 40:100] = rgba[98:102, 100:390] = 1.0  # a body with a long tail to the right
    view, columns, rows = framed_box(rgba, 0.3)
    assert columns[0] >= 1 and columns[1] <= 127 and max(127 - columns[0], columns[1]) >= 0.9 * LARGEST * 128 / 2
    mass = (view.rgba[..., 3].sum(0) * (np.arange(128) + 0.5)).sum() / view.rgba[..., 3].sum()
    assert mass == pytest.approx(64, abs=1) and view.rgba[..., 3].mean() < 0.3


def test_reframing_moves_pixels_with_the_camera():
    camera = orbit(30, 10, 2.7, np.array([60.0, 62.0, 30.0, 34.0]), 64, 64)
    point = np.array([0.2, -0.1, 0.15])
    (u, v), _ = project(camera, point)
    ys, xs = np.mgrid[0:64, 0:64] + 0.5
    alpha = np.exp(-((xs - u) ** 2 + (ys - v) ** 2) / 8).astype(np.float32)
    moved = reframe(View(np.dstack([np.ones((64, 64, 3), np.float32), alpha]), camera), 96)
    np.testing.assert_allclose(moved.camera.fxfycxcy, canonical_fxfycxcy(96))
    ys, xs = np.mgrid[0:96, 0:96] + 0.5
    weight = moved.rgba[..., 3]
    center = np.array([(weight * xs).sum(), (weight * ys).sum()]) / weight.sum()
    np.testing.assert_allclose(center, project(moved.camera, point)[0], atol=0.1)
    assert isinstance(moved.camera, Camera)


def test_pictures_without_a_mask_or_an_animal_are_refused(tmp_path):
    Image.new("RGB", (40, 40), "white").save(tmp_path / "rgb.png")
    Image.new("L", (40, 40), 0).save(tmp_path / "black.png")
    Image.new("L", (20, 40), 255).save(tmp_path / "small.png")
    with pytest.raises(DataError, match="no alpha channel"):
        read_picture(tmp_path / "rgb.png")
    with pytest.raises(DataError, match="no animal"):
        read_picture(tmp_path / "rgb.png", tmp_path / "black.png")
    with pytest.raises(DataError, match="does not fit"):
        read_picture(tmp_path / "rgb.png", tmp_path / "small.png")


def animal_on_grey():
    """A grey picture [60, 80] in [0, 1] whose animal, off the middle, has grey 0.2 on 0.9, and its mask."""
    grey, mask = np.full((60, 80), 0.9), np.zeros((60, 80), bool)
    mask[10:30, 15:60] = True
    grey[mask] = 0.2
    return grey, mask


def save(path, array, mode=None, **options):
    Image.fromarray(array, mode).save(path, **options)
    return path


def mean_in_mask(rgba):
    return float(rgba[..., :3][rgba[..., 3] > 0.5].mean())


@pytest.mark.parametrize(
    "name,top,white,kind",
    [
        ("deep.png", 65535, None, np.uint16),
        ("deep.tif", 65535, None, np.uint16),
        ("twelve.tif", 4095, 4095, np.uint16),
        ("unit.tif", 1.0, None, np.float32),
        ("levels.tif", 255.0, 255, np.float32),
        ("whole.tif", 4095, 4095, np.int32),
        ("plain.png", 255, None, np.uint8),
    ],
)
def test_one_animal_is_the_same_in_every_depth(tmp_path, name, top, white, kind):
    grey, mask = animal_on_grey()
    path = save(tmp_path / name, (grey * top).astype(kind))
    rgba = read_picture(path, save(tmp_path / "mask.png", (mask * 255).astype(np.uint8)), white=white)
    assert mean_in_mask(rgba) == pytest.approx(0.2, abs=0.003)
    np.testing.assert_array_equal(rgba[..., 3] > 0.5, mask)


@pytest.mark.parametrize(
    "top,kind,message",
    [(4095, np.uint16, "10, 12 or 14 bits"), (60000, np.int32, "--white"), (255.0, np.float32, "outside of black")],
)
def test_a_grey_picture_that_does_not_say_what_is_white_is_refused(tmp_path, top, kind, message):
    grey, mask = animal_on_grey()
    path = save(tmp_path / "a.tif", (grey * top).astype(kind))
    with pytest.raises(DataError, match="--white 4095") as caught:
        read_picture(path, save(tmp_path / "mask.png", (mask * 255).astype(np.uint8)))
    assert message in str(caught.value)


@pytest.mark.parametrize("orientation,back", [(3, 2), (6, 1), (8, 3)])
def test_a_turned_phone_photo_is_read_upright(tmp_path, orientation, back):
    grey, mask = animal_on_grey()
    stored = np.rot90(np.repeat((grey * 255).astype(np.uint8)[..., None], 3, -1), back)
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = save(tmp_path / "a.jpg", np.ascontiguousarray(stored), exif=exif, quality=98)
    upright = save(tmp_path / "mask.png", (mask * 255).astype(np.uint8))
    assert mean_in_mask(read_picture(path, upright)) == pytest.approx(0.2, abs=0.02)
    if back != 2:  # a mask of the file as it is stored has another size, and the message says why
        lying = save(tmp_path / "lying.png", np.ascontiguousarray(np.rot90(mask, back) * np.uint8(255)))
        with pytest.raises(DataError, match="EXIF"):
            read_picture(path, lying)


def test_a_palette_with_transparency_has_an_alpha(tmp_path):
    grey, mask = animal_on_grey()
    image = Image.fromarray(np.where(mask, 1, 0).astype(np.uint8), "P")
    image.putpalette([230, 230, 230, 51, 51, 51])
    image.save(tmp_path / "a.png", transparency=0)
    rgba = read_picture(tmp_path / "a.png")
    np.testing.assert_array_equal(rgba[..., 3] > 0.5, mask)
    assert mean_in_mask(rgba) == pytest.approx(0.2, abs=0.003)


def test_an_opaque_alpha_counts_as_none(tmp_path):
    grey, mask = animal_on_grey()
    opaque = np.dstack([np.repeat(grey[..., None], 3, -1), np.ones(grey.shape)])
    path = save(tmp_path / "a.png", (opaque * 255).astype(np.uint8))
    with pytest.raises(DataError, match="opaque everywhere"):
        read_picture(path)
    seen = []
    rgba = read_picture(path, matting=lambda rgb: seen.append(rgb.dtype) or mask.astype(np.float32))
    assert seen == [np.uint8] and mean_in_mask(rgba) == pytest.approx(0.2, abs=0.003)


@pytest.mark.parametrize("form", ["zero and one", "palette", "deep", "alpha", "bool"])
def test_a_mask_is_read_in_every_form(tmp_path, form):
    grey, mask = animal_on_grey()
    arrays = {
        "zero and one": mask.astype(np.uint8),
        "deep": mask.astype(np.uint16) * 65535,
        "bool": mask,
        "alpha": np.dstack([np.zeros((60, 80, 3), np.uint8), mask * np.uint8(255)]),
        "palette": mask.astype(np.uint8),
    }
    image = Image.fromarray(arrays[form])
    if form == "palette":
        image = Image.fromarray(arrays[form], "P")
        image.putpalette([0, 0, 0, 128, 0, 0])
    image.save(tmp_path / "mask.png")
    path = save(tmp_path / "a.png", (grey * 255).astype(np.uint8))
    np.testing.assert_array_equal(read_picture(path, tmp_path / "mask.png")[..., 3] > 0.5, mask)


def test_a_picture_that_is_not_there_is_not_called_broken(tmp_path):
    with pytest.raises(DataError, match="mouse.png does not exist"):
        read_picture(tmp_path / "mouse.png")
    with pytest.raises(DataError, match="is a folder"):
        read_picture(tmp_path)


def test_a_stack_of_frames_and_a_broken_file_are_refused(tmp_path):
    pages = [Image.new("L", (20, 20), grey) for grey in (10, 200)]
    pages[0].save(tmp_path / "stack.tif", save_all=True, append_images=pages[1:])
    with pytest.raises(DataError, match="stack of frames"):
        read_picture(tmp_path / "stack.tif")
    (tmp_path / "a.heic").write_bytes(b"\0\0\0\x18ftypheic")
    with pytest.raises(DataError, match="phone's format"):
        read_picture(tmp_path / "a.heic")


SHARED = Path(__file__).resolve().parents[3] / "shared/fixtures/real_files/b_pictures_misread"


@pytest.mark.skipif(not SHARED.is_dir(), reason="../shared/fixtures is not here")
@pytest.mark.parametrize(
    "name,mask,white",
    [
        ("plain.png", "mask.png", None),
        ("gray16.tif", "mask.png", None),
        ("gray16.png", "mask.png", None),
        ("gray12.tif", "mask.png", 4095),
        ("float01.tif", "mask.png", None),
        ("int32.tif", "mask.png", 65535),
        ("phone180.jpg", "mask.png", None),
        ("phone90.jpg", "mask.png", None),
        ("phone90sq.jpg", "mask_sq.png", None),
        ("palette.png", None, None),
        ("opaque.png", "mask.png", None),
    ],
)
def test_one_mouse_in_many_containers_is_one_mouse(name, mask, white):
    rgba = read_picture(SHARED / name, SHARED / mask if mask else None, white=white)
    assert mean_in_mask(rgba) == pytest.approx(0.156, abs=0.01)
