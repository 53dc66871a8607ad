#!/usr/bin/env bash
# An MP4 that was cut without encoding between two key frames (ffmpeg -ss ... -c copy) keeps the pictures since the key frame and hides
# them by an edit list. Decoders do not show them, but the stream's number of frames counts them: the last frames "are missing", as if
# the file were truncated. OpenCV's CAP_PROP_FRAME_COUNT has the same number.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv venv; venv/bin/pip install -q "av==18.1.0" "numpy==2.4.6" "opencv-python-headless==5.0.0.93"
venv/bin/python - <<'P'
from fractions import Fraction

import av
import cv2
import numpy as np

with av.open("whole.mp4", "w") as container:
    stream = container.add_stream("libx264", rate=25)
    stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
    stream.options = {"g": "30", "threads": "1"}
    for number in range(60):
        frame = av.VideoFrame.from_ndarray(np.full((64, 96, 3), 40 + 3 * number, np.uint8), format="rgb24")
        frame.pts, frame.time_base = number, Fraction(1, 25)
        container.mux(stream.encode(frame))
    container.mux(stream.encode())

with av.open("whole.mp4") as source, av.open("cut.mp4", "w") as target:  # what ffmpeg -ss 1.6 -c copy does: from frame 40 on
    stream = source.streams.video[0]
    copy = target.add_stream_from_template(stream)
    begin = round(40 / 25 / stream.time_base)
    source.seek(begin, stream=stream, backward=True)  # to the key frame 30
    for packet in source.demux(stream):
        if packet.dts is not None:
            packet.pts, packet.dts, packet.stream = packet.pts - begin, packet.dts - begin, copy
            target.mux(packet)

with av.open("cut.mp4") as container:
    stream = container.streams.video[0]
    stated, hidden = stream.frames, sum(entry.is_discard for entry in stream.index_entries)
    shown = [round((float(frame.to_ndarray(format="rgb24").mean()) - 40) / 3) for frame in container.decode(video=0)]
capture = cv2.VideoCapture("cut.mp4")
opencv, grabbed = int(capture.get(cv2.CAP_PROP_FRAME_COUNT)), 0
while capture.grab():
    grabbed += 1
print(f"PyAV {av.__version__}: {stated} frames stated, {hidden} hidden, {len(shown)} shown, the first is {shown[0]}")
print(f"OpenCV {cv2.__version__}: {opencv} frames stated, {grabbed} read")
assert (stated, hidden, len(shown), shown[0]) == (30, 10, 20, 40), (stated, hidden, shown)
assert (opencv, grabbed) == (30, 20), (opencv, grabbed)
P
