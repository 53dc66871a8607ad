"""Frames asked for in steps are those of the whole film, whatever is left out on the way to them."""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np
import pytest

from mousefacelift.capture.sources.video import VideoReader
from mousefacelift.errors import DataError

FRAMES = 60


def film(path, jitter=0, codec="libx264", stamps=None, **options):
    """A square that walks over noise, 25 frames a second; every seventh stamp is late by `jitter` of 1/1000 s, or all
    are `stamps` (1/1000 s); as many frames as there are stamps."""
    rng = np.random.default_rng(0)
    noise = rng.integers(90, 120, (64, 96, 3), dtype=np.uint8)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        base = Fraction(1, 25 if path.suffix == ".avi" else 1000)  # an AVI counts frames
        stream.time_base = stream.codec_context.time_base = base
        stream.options = {"g": "30", "threads": "1"} | options
        stamps = stamps or [40 * i + (jitter if i % 7 == 5 else 0) for i in range(FRAMES)]
        for i, stamp in enumerate(stamps):
            rgb = noise.copy()
            rgb[20:40, i % 60 : i % 60 + 20] = (3 * i + 40) % 256
            frame = av.VideoFrame.from_ndarray(rgb, format="rgb24")
            frame.pts, frame.time_base = i if path.suffix == ".avi" else stamp, base
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def whole(path):
    with av.open(str(path)) as container:
        return [frame.to_ndarray()[:64] for frame in container.decode(video=0)]


class Counted(VideoReader):
    decoded = 0

    def _step(self, index):
        self.decoded += 1
        return super()._step(index)


FILMS = {
    "pyramid.mp4": {"bf": "3", "b-pyramid": "normal"},
    "plain.mp4": {"bf": "2", "b-pyramid": "none"},
    "none.mp4": {"bf": "0"},
    "pyramid.mkv": {"bf": "3"},
    "late_by_half.mp4": {"bf": "3", "jitter": 20},
    "open.mp4": {"bf": "3", "x264-params": "open-gop=1"},
    "late.mp4": {"bf": "3", "jitter": 13},
    "late_by_a_frame.mp4": {"bf": "3", "jitter": 39},
    "mpeg4.avi": {"codec": "mpeg4", "bf": "2"},
    "h264.avi": {"bf": "3"},
}
# 400 stamps: frames of a camera that hiccups (one too many, one lost: as many as an even film has), that lost every
# 17th, and of a clock that trembles; files cut at no key frame by `ffmpeg -ss -c copy` begin before 0
LONG = {
    "one_too_many_one_lost.mp4": [0, 40, 60, *(40 * i for i in range(2, 370)), *(40 * i for i in range(371, 400))],
    "lost.mp4": [40 * i for i in range(425) if i % 17 != 5],
    "trembling.mp4": np.cumsum(np.random.default_rng(3).integers(34, 47, 400)).tolist(),
    "lost.mkv": [40 * i for i in range(425) if i % 17 != 5],
    "cut.mp4": [40 * i - 400 for i in range(400)],
    "even.mp4": [40 * i for i in range(400)],
    "h264.avi": range(400),
}


@pytest.mark.parametrize("name", FILMS)
def test_any_order_gives_the_frames_of_the_whole_film(tmp_path, name):
    path = film(tmp_path / name, **FILMS[name])
    frames = whole(path)
    rng = np.random.default_rng(1)
    orders = [range(0, FRAMES, step) for step in (1, 2, 3, 7, 10)] + [rng.integers(0, FRAMES, 30).tolist()]
    for order in orders:
        reader = VideoReader(path)
        for index in order:
            assert np.array_equal(reader.read(index).y, frames[index]), f"frame {index} of {list(order)}"
        reader.close()


@pytest.mark.parametrize("name", LONG)
def test_a_jump_lands_on_the_frame_that_counting_gives(tmp_path, name):
    """Time stamps at uneven times, invented ones (AVI) and ones before the beginning name no other frame."""
    path = film(tmp_path / name, bf="0" if "one_too_many" in name else "3", stamps=list(LONG[name]))
    frames = whole(path)
    assert VideoReader(path).frames == len(frames) == (390 if name == "cut.mp4" else 400)
    for order in ([0, 1, 2, 3, 4, 20, 30], [350, 352, 389], range(387, 301, -5), range(0, 390, 40)):
        reader = VideoReader(path)
        for index in order:
            assert np.array_equal(reader.read(index).y, frames[index]), f"frame {index} of {list(order)}"
        reader.close()


def test_a_jump_does_not_decode_the_way(tmp_path):
    for name in ("even.mp4", "lost.mp4", "lost.mkv"):
        reader = Counted(film(tmp_path / name, bf="3", stamps=LONG[name]))
        reader.read(385)
        assert reader.decoded < 40, name


def test_pictures_that_no_other_needs_are_not_decoded(tmp_path):
    path = film(tmp_path / "film.mp4", bf="3", **{"b-pyramid": "normal"})
    reader = Counted(path)
    for index in range(0, FRAMES, 20):
        reader.read(index)
    assert reader.decoded < 30  # of 41


def test_stamps_at_uneven_times_are_read_and_sorted(tmp_path):
    reader = Counted(film(tmp_path / "late.mp4", jitter=13, bf="3"))
    frames = whole(tmp_path / "late.mp4")
    assert np.array_equal(reader.read(40).y, frames[40]) and reader.decoded < 30  # of 41


def test_pictures_that_a_decoder_passes_over_move_no_other(tmp_path):
    """In damaged files decoders leave pictures out in silence; those behind keep their numbers by their stamps."""
    path, lost = film(tmp_path / "damaged.mp4", bf="3"), 30
    frames, step = whole(path), 16_000 // 25

    class Passing(VideoReader):
        def _decoded(self):
            return (frame for frame in super()._decoded() if frame.pts != lost * step)

    for order in (range(lost), [lost - 1, lost + 1, 50], [50, 59]):
        reader = Passing(path)
        for index in order:
            assert np.array_equal(reader.read(index).y, frames[index]), f"frame {index} of {list(order)}"
    for first in (0, lost - 1):
        reader = Passing(path)
        reader.read(first)
        with pytest.raises(DataError, match=f"frame {lost} of .*damaged.mp4 cannot be decoded"):
            reader.read(lost)
