"""Videos and pictures as cameras and converters leave them: palettes, dropped pictures, mirrors, grey photos."""

from __future__ import annotations

import struct
from fractions import Fraction

import av
import numpy as np
import pytest
from PIL import Image

from mousefacelift.capture.config import RecordingSource
from mousefacelift.capture.sources import open_film, open_source
from mousefacelift.errors import DataError

SIZE = (48, 64)
GREY = np.add.outer(np.arange(SIZE[0]), np.arange(SIZE[1])).astype(np.uint8)


def write_palette_avi(path, frames):
    """Uncompressed 8-bit AVI with a grey palette and rows from the bottom, as ImageJ and MATLAB write grey films."""
    count, height, width = frames.shape
    chunk = lambda name, data: name + struct.pack("<I", len(data)) + data  # noqa: E731
    palette = b"".join(bytes([i, i, i, 0]) for i in range(256))
    main = struct.pack("<14I", 100_000, 0, 0, 16, count, 0, 1, 0, width, height, 0, 0, 0, 0)
    stream = b"vidsDIB " + struct.pack("<IHHIIIIIIiI4H", 0, 0, 0, 0, 1, 10, 0, count, 0, -1, 0, 0, 0, width, height)
    bitmap = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 8, 0, width * height, 0, 0, 256, 0) + palette
    lists = chunk(b"LIST", b"strl" + chunk(b"strh", stream) + chunk(b"strf", bitmap))
    pieces = [chunk(b"00db", np.ascontiguousarray(frame[::-1]).tobytes()) for frame in frames]
    index = b"".join(b"00db" + struct.pack("<III", 16, 4 + i * len(pieces[0]), width * height) for i in range(count))
    body = b"AVI " + chunk(b"LIST", b"hdrl" + chunk(b"avih", main) + lists)
    body += chunk(b"LIST", b"movi" + b"".join(pieces)) + chunk(b"idx1", index)
    path.write_bytes(b"RIFF" + struct.pack("<I", len(body)) + body)


def film(path, times, codec="mjpeg", kind="yuvj420p"):
    """A film of grey pictures, picture i of level 20 + 5 i, shown at `times` (in frames of 1/10 s)."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=10)
        stream.height, stream.width, stream.pix_fmt = *SIZE, kind
        for i, time in enumerate(times):
            frame = av.VideoFrame.from_ndarray(np.full((*SIZE, 3), 20 + 5 * i, np.uint8), format="rgb24")
            frame.pts, frame.time_base = time, Fraction(1, 10)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def levels(path):
    reader = open_film(path)
    return [round((reader.read(i).luma().mean() - 20) / 5) for i in range(reader.frames)]


def test_an_uncompressed_avi_keeps_its_palette(tmp_path):
    """The palette comes with the first packet: a seek before it made every picture black."""
    frames = np.stack([np.clip(GREY + 20 * t, 0, 255) for t in range(5)]).astype(np.uint8)
    write_palette_avi(tmp_path / "grey.avi", frames)
    reader = open_film(tmp_path / "grey.avi")
    for index in (0, 3, 1, 4):
        assert np.abs(reader.read(index).luma().astype(int) - frames[index]).max() <= 1


@pytest.mark.parametrize(("codec", "kind"), [("mjpeg", "yuvj420p"), ("libx264", "yuv420p")])
def test_an_avi_with_dropped_pictures_holds_those_that_are_there(tmp_path, codec, kind):
    times = [0, 1, 2, 5, 6, 7, 8, 9, 11, 12]
    path = film(tmp_path / "dropped.avi", times, codec, kind)
    with av.open(str(path)) as container:
        assert container.streams.video[0].frames > 10
    assert levels(path) == list(range(10))


@pytest.mark.parametrize("kind", ["mkv", "mp4", "ts"])
def test_the_rate_is_that_of_the_pictures(tmp_path, kind):
    """A camera of 10 frames a second that dropped more than half of them; a header may state 10 all the same."""
    times = [0, 1, 4, 6, 7, 11, 12, 15, 18, 20]
    reader = open_film(film(tmp_path / f"dropped.{kind}", times, "libx264", "yuv420p"))
    assert reader.frames == 10 and abs(reader.fps - 4.5) < 0.6
    even = open_film(film(tmp_path / f"even.{kind}", range(10), "libx264", "yuv420p"))
    assert even.fps == 10


def test_a_truncated_avi_is_still_refused(tmp_path):
    whole = film(tmp_path / "whole.avi", [0, 1, 2, 5, 6, 7, 8, 9, 11, 12]).read_bytes()
    (tmp_path / "cut.avi").write_bytes(whole[: len(whole) * 6 // 10])
    with pytest.raises(DataError, match="copy the file again"):
        levels(tmp_path / "cut.avi")


@pytest.mark.parametrize("matrix", [(-1, 0, 0, 1), (1, 0, 0, -1), (0, 1, 1, 0)])
def test_a_video_that_is_shown_mirrored_is_refused(tmp_path, matrix):
    path = film(tmp_path / "plain.mp4", range(3), "libx264", "yuv420p")
    data, (a, b, c, d) = bytearray(path.read_bytes()), (65536 * v for v in matrix)
    at = data.find(b"tkhd") + 4 + 40
    struct.pack_into(">9i", data, at, a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(data)
    with pytest.raises(DataError, match="shown mirrored"):
        open_source(path)


PHOTOS = {
    "dark": (Image.fromarray(GREY // 2), GREY // 2),
    "nearly_black": (Image.fromarray(GREY // 40), GREY // 40),
    "alpha": (Image.fromarray(GREY).convert("LA"), GREY),
    "opaque": (Image.fromarray(np.stack([GREY] * 3, -1)).convert("RGBA"), GREY),
    "palette": (Image.fromarray(np.stack([GREY] * 3, -1)).quantize(256), GREY),
}


@pytest.mark.parametrize("name", PHOTOS)
def test_grey_photos_are_no_masks(tmp_path, name):
    """An infrared camera's pictures: dark, of few levels, with an alpha channel or a palette."""
    image, expected = PHOTOS[name]
    for index in range(3):
        image.save(tmp_path / f"{index:05d}.png")
    assert np.abs(open_film(tmp_path).read(1).luma().astype(int) - expected).max() <= 1


def test_pictures_in_arrays_are_no_masks(tmp_path):
    colours = np.stack([GREY, GREY // 2, 255 - GREY], -1)
    np.save(tmp_path / "grey.npy", np.stack([GREY // 3] * 3))
    np.save(tmp_path / "colours.npy", np.stack([colours] * 3))
    assert (open_film(tmp_path / "grey.npy").read(2).luma() == GREY // 3).all()
    assert np.abs(open_film(tmp_path / "colours.npy").read(2).rgb().astype(int) - colours).mean() < 2


def test_photos_of_more_than_8_bits_are_refused_by_that_name(tmp_path):
    for index in range(3):
        Image.fromarray(GREY.astype(np.uint16) * 16).save(tmp_path / f"{index:05d}.tif")
    with pytest.raises(DataError, match="which value is white"):
        open_film(tmp_path).read(0)


@pytest.mark.parametrize("orientation", [3, 6])
def test_pictures_and_masks_are_turned_as_their_orientation_says(tmp_path, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    for index in range(3):
        Image.fromarray(np.stack([GREY] * 3, -1)).save(tmp_path / f"{index:05d}.jpg", exif=exif, quality=98)
    upright = GREY[::-1, ::-1] if orientation == 3 else GREY[::-1].T
    reader = open_film(tmp_path)
    assert (reader.height, reader.width) == upright.shape
    assert np.abs(reader.read(1).luma().astype(int) - upright).mean() < 2


def test_an_objects_number_is_refused_for_masks_in_a_video(tmp_path):
    film(tmp_path / "masks.mp4", range(3), "libx264", "yuv420p")
    with pytest.raises(DataError, match="leave mask_object out"):
        open_source(f"{tmp_path / 'masks.mp4'}#2")


def test_an_up_that_points_nowhere_is_refused():
    with pytest.raises(ValueError, match="points nowhere"):
        RecordingSource(up=(0.0, 0.0, 0.0))
