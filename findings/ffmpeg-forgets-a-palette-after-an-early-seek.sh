#!/usr/bin/env bash
# An uncompressed 8-bit AVI (grey films of ImageJ and MATLAB) has a palette, which FFmpeg hands over with the first packet only. Who seeks
# before reading, even to the beginning, loses it: every picture is decoded black, without an error. Seeking after the first picture is fine.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv venv; venv/bin/pip install -q "av==18.1.0" "numpy==2.4.6"
venv/bin/python - <<'P'
import struct

import av
import numpy as np

frames = np.stack([np.full((48, 64), 60 + 20 * t, np.uint8) for t in range(5)])
count, height, width = frames.shape
chunk = lambda name, data: name + struct.pack("<I", len(data)) + data
palette = b"".join(bytes([i, i, i, 0]) for i in range(256))
main = struct.pack("<14I", 100_000, 0, 0, 16, count, 0, 1, 0, width, height, 0, 0, 0, 0)
stream = b"vidsDIB " + struct.pack("<IHHIIIIIIiI4H", 0, 0, 0, 0, 1, 10, 0, count, 0, -1, 0, 0, 0, width, height)
bitmap = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 8, 0, width * height, 0, 0, 256, 0) + palette
lists = chunk(b"LIST", b"strl" + chunk(b"strh", stream) + chunk(b"strf", bitmap))
pieces = [chunk(b"00db", frame.tobytes()) for frame in frames]
index = b"".join(b"00db" + struct.pack("<III", 16, 4 + i * len(pieces[0]), width * height) for i in range(count))
body = b"AVI " + chunk(b"LIST", b"hdrl" + chunk(b"avih", main) + lists) + chunk(b"LIST", b"movi" + b"".join(pieces)) + chunk(b"idx1", index)
open("grey.avi", "wb").write(b"RIFF" + struct.pack("<I", len(body)) + body)


def means(before):
    with av.open("grey.avi") as container:
        stream = container.streams.video[0]
        if before == "read":
            next(container.decode(stream))
        if before:
            container.seek(0, stream=stream)
        return [round(float(frame.to_ndarray(format="gray").mean())) for frame in container.decode(stream)]


plain, early, late = means(""), means("seek"), means("read")
print(f"PyAV {av.__version__}, grey levels 60 to 140: read {plain}; seek to 0, then read {early}; one picture, seek to 0, then read {late}")
assert plain == late and np.abs(np.subtract(plain, [60, 80, 100, 120, 140])).max() <= 1 and early == [0] * 5, (plain, early, late)
P
