"""Frames asked for in steps are those of the whole film, whatever is left out on the way to them."""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np
import pytest

from mousefacelift.capture.sources.video import VideoReader

FRAMES = 60


def film(path, jitter=0, codec="libx264", **options):
    """A square that walks over noise, 25 frames a second; every seventh stamp is late by `jitter` of 1/1000 s."""
    rng = np.random.default_rng(0)
    noise = rng.integers(90, 120, (64, 96, 3), dtype=np.uint8)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        stream.time_base = stream.codec_context.time_base = Fraction(1, 1000)
        stream.options = {"g": "30", "threads": "1"} | options
        for i in range(FRAMES):
            rgb = noise.copy()
            rgb[20:40, i : i + 20] = 3 * i + 40
            frame = av.VideoFrame.from_ndarray(rgb, format="rgb24")
            frame.pts, frame.time_base = 40 * i + (jitter if i % 7 == 5 else 0), Fraction(1, 1000)
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


def test_pictures_that_no_other_needs_are_not_decoded(tmp_path):
    path = film(tmp_path / "film.mp4", bf="3", **{"b-pyramid": "normal"})
    reader = Counted(path)
    for index in range(0, FRAMES, 20):
        reader.read(index)
    assert reader.decoded < 30  # of 41


def test_stamps_that_lie_cost_time_and_no_frame(tmp_path):
    reader = Counted(film(tmp_path / "late.mp4", jitter=13, bf="3"))
    frames = whole(tmp_path / "late.mp4")
    assert np.array_equal(reader.read(40).y, frames[40]) and reader.decoded > 41
