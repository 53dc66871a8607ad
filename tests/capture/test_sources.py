"""Pictures and masks in every layout that labs keep are the same pictures; what is incomplete is named."""

from __future__ import annotations

import json
import sys

import av
import cv2
import numpy as np
import pytest
from PIL import Image

from mousefacelift.capture.locators import locate_sources
from mousefacelift.capture.sources import open_source
from mousefacelift.capture.sources.coco import decode_run_length
from mousefacelift.core.video import write_mp4
from mousefacelift.errors import ConfigError, DataError

SIZE = (48, 64)
# pycocotools 2.0.11: mask.encode(np.asfortranarray(masks()[2].astype(np.uint8)))["counts"]
COMPRESSED = "Tg09V12M4N0O2N2O0000000000000001N2N102L3N]\\1"


def masks(count=6):
    """bool [T, H, W]: a disc that walks."""
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    return np.stack([(x - 20 - 2 * t) ** 2 + (y - 24) ** 2 < 100 for t in range(count)])


def assert_masks(path, expected):
    reader = open_source(path)
    assert (reader.frames, reader.height, reader.width) == (len(expected), *SIZE)
    for index in (0, 3, 2, len(expected) - 1):  # going back starts again
        assert ((reader.read(index).luma() > 127) == expected[index]).all(), f"mask {index} of {path}"
    with pytest.raises(DataError, match="no "):
        reader.read(len(expected))
    reader.close()


def save_pngs(folder, images, palette=False):
    folder.mkdir(parents=True)
    for index, image in enumerate(images):
        picture = Image.fromarray(image.astype(np.uint8))
        if palette:
            picture = picture.convert("L")
            picture.putpalette(bytes(3) + bytes([200, 30, 30, 30, 200, 30]) + bytes(3 * 253))
        picture.save(folder / f"{index:05d}.png")


def run_length(mask):
    """Uncompressed COCO counts: column by column, background first."""
    flat = np.concatenate([[0], mask.T.ravel().astype(int), [2]])
    edges = np.flatnonzero(np.diff(flat)) if flat[1] == 0 else np.concatenate([[0], np.flatnonzero(np.diff(flat))])
    return {"size": list(mask.shape), "counts": np.diff(np.concatenate([[0], edges])).tolist()}


def test_masks_as_pictures_with_any_value_but_zero(tmp_path):
    expected = masks()
    for name, value in (("one", 1), ("white", 255), ("grey", 90)):
        save_pngs(tmp_path / name, expected * value)
        assert_masks(tmp_path / name, expected)
    save_pngs(tmp_path / "palette", expected * 1, palette=True)
    assert_masks(tmp_path / "palette", expected)
    (tmp_path / "deep").mkdir()
    for index, mask in enumerate(expected):
        Image.fromarray((mask * 3).astype(np.uint16)).save(tmp_path / "deep" / f"{index}.tif")
    assert_masks(tmp_path / "deep", expected)


def test_grey_edges_of_a_mask_picture_are_kept(tmp_path):
    soft = cv2.GaussianBlur(masks(3).astype(np.float32)[1], (0, 0), 1.5)
    save_pngs(tmp_path / "soft", np.rint(255 * np.stack([soft] * 3)))
    assert len(np.unique(open_source(tmp_path / "soft").read(1).y)) > 20


def test_the_animal_is_chosen_by_its_number(tmp_path):
    expected, other = masks(), np.roll(masks(), 20, axis=1)
    both = np.where(expected, 2, other * 1)
    save_pngs(tmp_path / "palette", both, palette=True)
    assert_masks(f"{tmp_path / 'palette'}#2", expected)
    with pytest.raises(DataError, match="mask_object"):
        open_source(tmp_path / "palette").read(0)
    np.save(tmp_path / "objects.npy", np.stack([other, expected], 1))
    assert_masks(f"{tmp_path / 'objects.npy'}#2", expected)
    with pytest.raises(DataError, match="2 objects"):
        open_source(tmp_path / "objects.npy")


def test_masks_as_arrays(tmp_path):
    expected = masks()
    np.savez_compressed(tmp_path / "z.npz", masks=expected, frame_ids=np.arange(6))
    np.save(tmp_path / "a.npy", expected.astype(np.uint8))
    assert_masks(tmp_path / "z.npz", expected)
    assert_masks(tmp_path / "a.npy", expected)
    h5py = pytest.importorskip("h5py", reason="HDF5 masks need the extra 'files'")
    with h5py.File(tmp_path / "h.h5", "w") as file:
        file["masks"] = expected
    assert_masks(tmp_path / "h.h5", expected)
    data = (tmp_path / "z.npz").read_bytes()
    (tmp_path / "cut.npz").write_bytes(data[: len(data) // 2])
    with pytest.raises(DataError, match="cannot be read"):
        open_source(tmp_path / "cut.npz")
    np.save(tmp_path / "objects.npy", np.array([{"a": 1}], object), allow_pickle=True)
    with pytest.raises(DataError, match="cannot be read"):
        open_source(tmp_path / "objects.npy")


def test_masks_as_a_zarr_array(tmp_path):
    zarr = pytest.importorskip("zarr", reason="zarr masks need the extra 'files'")
    zarr.save(str(tmp_path / "m.zarr"), masks())
    assert_masks(tmp_path / "m.zarr", masks())


@pytest.mark.parametrize(("file", "package"), [("m.zarr", "zarr"), ("m.h5", "h5py")])
def test_arrays_whose_package_is_not_installed_say_how_to_install_it(tmp_path, monkeypatch, file, package):
    monkeypatch.setitem(sys.modules, package, None)
    (tmp_path / file).write_bytes(b"")
    with pytest.raises(ConfigError, match=rf"(?s)need the package {package}.*mousefacelift\[files\]"):
        open_source(tmp_path / file)


def test_masks_as_coco_run_lengths(tmp_path):
    expected = masks()
    images = [{"id": 10 + t, "file_name": f"{t}.jpg", "width": SIZE[1], "height": SIZE[0]} for t in range(6)]
    annotations = [
        {"image_id": 10 + t, "category_id": 1, "segmentation": run_length(m)} for t, m in enumerate(expected)
    ]
    (tmp_path / "c.json").write_text(json.dumps({"images": images[::-1], "annotations": annotations}))
    assert_masks(tmp_path / "c.json", expected)
    (tmp_path / "list.json").write_text(json.dumps([run_length(m) for m in expected]))
    assert_masks(tmp_path / "list.json", expected)
    annotations.append({**annotations[0], "category_id": 2})
    (tmp_path / "two.json").write_text(json.dumps({"images": images, "annotations": annotations}))
    assert_masks(f"{tmp_path / 'two.json'}#1", expected)
    with pytest.raises(DataError, match="mask_object"):
        open_source(tmp_path / "two.json").read(0)


def test_compressed_run_lengths_are_those_of_the_coco_tools():
    mask = masks()[2]
    assert (decode_run_length({"size": list(SIZE), "counts": COMPRESSED}, SIZE[1], SIZE[0]) == mask).all()


def test_the_handed_masks_are_one_mask(shared):
    folder = shared / "fixtures/real_files/15_masks_not_video"
    arrays, runs, pictures = (open_source(folder / name) for name in ("0.npz", "coco_rle_0.json", "png/0"))
    assert arrays.frames == runs.frames == 16
    for index in range(16):
        assert (arrays.read(index).y == runs.read(index).y).all() and arrays.read(index).y.any()
    for index in range(pictures.frames):
        assert (pictures.read(index).y == arrays.read(index).y).all()


def write_video(path, count, first=0):
    frames = [np.full((*SIZE, 3), 20 + 10 * (first + index), np.uint8) for index in range(count)]
    write_mp4(path, frames, 10.0, crf=1)


def test_videos_in_pieces_are_one_video(tmp_path):
    for first, count in ((0, 4), (4, 3), (7, 2)):
        write_video(tmp_path / "Camera1" / f"{first}.mp4", count, first)
    reader = open_source(tmp_path / "Camera1")
    assert reader.frames == 9
    levels = [int(reader.read(index).luma().mean()) for index in range(9)]
    np.testing.assert_allclose(levels, 20 + 10 * np.arange(9), atol=3)
    assert abs(int(reader.read(1).luma().mean()) - 30) <= 3
    (tmp_path / "Camera1" / "4.mp4").unlink()
    with pytest.raises(DataError, match="do not follow"):
        open_source(tmp_path / "Camera1")
    write_video(tmp_path / "Camera1" / "notes.mp4", 2)
    with pytest.raises(DataError, match="no series"):
        open_source(tmp_path / "Camera1")


def test_a_picture_series_with_a_gap_is_refused(tmp_path):
    save_pngs(tmp_path / "m", masks())
    (tmp_path / "m" / "00003.png").unlink()
    with pytest.raises(DataError, match="without gaps"):
        open_source(tmp_path / "m")


def test_a_display_matrix_turns_the_picture_as_opencv_does(shared):
    path = shared / "fixtures/real_files/b_colour_not_tied_to_mask/recording/videos_undist/2.mp4"
    capture = cv2.VideoCapture(str(path))
    upright = cv2.cvtColor(capture.read()[1], cv2.COLOR_BGR2GRAY).astype(float)
    ours = open_source(path).read(0).luma().astype(float)
    with av.open(str(path)) as container:
        assert next(container.decode(video=0)).rotation in (180, -180)
    assert np.abs(ours - upright).mean() < 3 < np.abs(ours[::-1, ::-1] - upright).mean()


def place(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")


def test_cameras_find_their_files_by_name_then_number_then_place(tmp_path):
    place(tmp_path, *(f"v/{name}.mp4" for name in ("left", "right", "top")))
    find = lambda pattern, names: [  # noqa: E731
        p.removeprefix(str(tmp_path) + "/") for p in locate_sources(tmp_path, pattern, names, "r", "video")
    ]
    assert find("v/{camera}", ["top", "left", "right"]) == ["v/top.mp4", "v/left.mp4", "v/right.mp4"]
    place(tmp_path, *(f"w/Camera{index}/0.mp4" for index in range(1, 13)))
    names = [f"hires_cam{index}_params" for index in range(1, 13)]
    assert find("w/Camera{camera}/0.mp4", names) == [f"w/Camera{index}/0.mp4" for index in range(1, 13)]
    assert find("w/{camera}/*.mp4", names) == [f"w/Camera{index}/0.mp4" for index in range(1, 13)]
    place(tmp_path, *(f"x/{index}.avi" for index in range(3)))
    assert find("x/{camera}", ["left", "right", "top"]) == ["x/0.avi", "x/1.avi", "x/2.avi"]
    assert find("x/{camera}", ["2", "0", "1"]) == ["x/2.avi", "x/0.avi", "x/1.avi"]
    place(tmp_path, *(f"y/cam_{letter}-2.avi" for letter in "abc"))
    assert find("y/{camera}", ["Cam C 2", "Cam A 2", "Cam B 2"]) == [f"y/cam_{letter}-2.avi" for letter in "cab"]
    with pytest.raises(DataError, match="without a calibrated camera"):
        find("x/{camera}", ["0", "1"])
    with pytest.raises(DataError, match="lacks the video of camera 3"):
        find("x/{camera}", ["0", "1", "2", "3"])
    with pytest.raises(DataError, match="no folder"):
        find("absent/{camera}", ["0"])
    place(tmp_path, "x/0.mp4")
    with pytest.raises(DataError, match="two videos"):
        find("x/{camera}", ["0", "1", "2"])


def test_the_dannce_layout_with_pieces_is_found(shared):
    folder = shared / "fixtures/real_files/02_dannce_video_folders/rec"
    names = [f"hires_cam{index}_params" for index in range(1, 7)]
    for pattern in ("videos/Camera{camera}/0.mp4", "videos/{camera}"):
        found = locate_sources(folder, pattern, names, "rec", "video")
        assert found == tuple(str(folder / f"videos/Camera{index}") for index in range(1, 7))


@pytest.mark.parametrize("matrix", ["bt709", "smpte170m", ""])
@pytest.mark.parametrize("kind", ["yuv420p", "yuv444p"])
def test_colours_follow_the_matrix_that_the_video_names(tmp_path, matrix, kind):
    """Patches of saturated colours, coded by BT.709 or BT.601; without a word it is BT.601."""
    rgb = np.zeros((32, 96, 3), np.uint8)
    for i, colour in enumerate([(220, 40, 40), (40, 180, 60), (50, 60, 210)]):
        rgb[:, 32 * i : 32 * i + 32] = colour
    path = tmp_path / "film.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.height, stream.width, stream.pix_fmt = 32, 96, kind
        stream.options = {"crf": "1"} | ({"x264-params": f"colormatrix={matrix}"} if matrix else {})
        to = "ITU709" if matrix == "bt709" else "ITU601"
        frame = av.VideoFrame.from_ndarray(rgb, format="rgb24").reformat(format=kind, dst_colorspace=to)
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    picture = open_source(path).read(0)
    seen = picture.rgb()[8:24].reshape(16, 3, 32, 3)[:, :, 8:24].mean((0, 2))
    assert np.abs(seen - rgb[16, 16::32]).max() < 4
