#!/usr/bin/env bash
# H.264 with B-frames in an AVI: the container keeps no times of display, so FFmpeg makes them up, and the frames that its decoder
# returns in the right order carry stamps out of order (1 4 3 5 2 8 7 9 ...), none is 0. Who seeks by them, or numbers frames by
# them, is off by a frame or two. The same stream in MP4 carries 0 1 2 3 4 ...
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv venv; venv/bin/pip install -q "av==18.1.0" "numpy==2.4.6"
venv/bin/python - <<'P'
from fractions import Fraction

import av
import numpy as np

FRAMES = 40


def film(path):
    with av.open(path, "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        stream.options = {"bf": "3", "g": "30", "threads": "1"}
        for number in range(FRAMES):
            picture = np.full((64, 96, 3), 40, np.uint8)
            picture[:, 2 * number : 2 * number + 12] = 200  # a bar that walks: where it begins is the number
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def read(path):
    with av.open(path) as container:
        step = 1 / (25 * container.streams.video[0].time_base)
        frames = list(container.decode(video=0))
        shown = [round(int((frame.to_ndarray(format="gray")[32] > 120).argmax()) / 2) for frame in frames]
        return shown, [round(frame.pts / step) for frame in frames]


for path in ("film.mp4", "film.avi"):
    film(path)
    shown, stamps = read(path)
    print(f"PyAV {av.__version__}, FFmpeg {av.ffmpeg_version_info}, {path}: shows {shown[:9]}, stamps {stamps[:9]}")
    assert shown == list(range(FRAMES)), shown  # the order is right in both
    assert (stamps == shown) == path.endswith("mp4"), stamps
assert stamps != sorted(stamps) and stamps[0] == 1, "the stamps of an AVI are no longer out of order"
P
