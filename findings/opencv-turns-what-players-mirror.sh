#!/usr/bin/env bash
# The display matrix of an MP4 may mirror (front cameras, editors that flip without encoding anew). ffmpeg and players mirror the picture;
# OpenCV, and the angle that FFmpeg's own helper gives (PyAV: frame.rotation), know turns only: left-right becomes a half turn, up-down nothing.
# Masks or calibrations made by one and pictures read by the other do not fit, without an error.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv venv; venv/bin/pip install -q "av==18.1.0" "numpy==2.4.6" "opencv-python-headless==5.0.0.93" "imageio-ffmpeg==0.6.0"
venv/bin/python - <<'P'
import struct
import subprocess

import av
import cv2
import imageio_ffmpeg
import numpy as np

picture = np.full((48, 64, 3), 40, np.uint8)
picture[:16, :20] = 220  # a bright corner: above, left
with av.open("plain.mp4", "w") as container:
    stream = container.add_stream("libx264", rate=10)
    stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
    for _ in range(3):
        container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
    container.mux(stream.encode())


def corner(grey):
    """Where the bright corner is seen."""
    y, x = np.argwhere(grey > 130).mean(0)
    return ("above" if y < grey.shape[0] / 2 else "below") + " " + ("left" if x < grey.shape[1] / 2 else "right")


seen = {}
for name, (a, d) in {"left-right": (-1, 1), "up-down": (1, -1)}.items():
    data = bytearray(open("plain.mp4", "rb").read())
    struct.pack_into(">9i", data, data.find(b"tkhd") + 44, a << 16, 0, 0, 0, d << 16, 0, (64 << 16) * (a < 0), (48 << 16) * (d < 0), 1 << 30)
    open("mirrored.mp4", "wb").write(data)
    run = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", "mirrored.mp4", "-frames:v", "1", "-f", "rawvideo", "-pix_fmt", "gray", "-"]
    ffmpeg = np.frombuffer(subprocess.run(run, capture_output=True, check=True).stdout, np.uint8).reshape(48, 64)
    opencv = cv2.cvtColor(cv2.VideoCapture("mirrored.mp4").read()[1], cv2.COLOR_BGR2GRAY)
    angle = abs(next(av.open("mirrored.mp4").decode(video=0)).rotation)
    seen[name] = corner(ffmpeg), corner(opencv), angle
    print(f"mirrored {name}: corner in ffmpeg {corner(ffmpeg)}, in OpenCV {cv2.__version__} {corner(opencv)}; PyAV {av.__version__} rotation {angle}")
assert seen == {"left-right": ("above right", "below right", 180), "up-down": ("below left", "above left", 0)}, seen
P
