#!/usr/bin/env bash
# In COLMAP's images.txt every image has two lines, and the second is empty when it has no 2D points (pycolmap writes it so). colmap4d
# skips empty lines and takes the next image for the points of the one before: three images without points cannot be read.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv venv; venv/bin/pip install -q "pycolmap==4.2.1" "numpy==2.4.6"; venv/bin/pip install -q --no-deps "colmap4d==1.0.1"
venv/bin/python - <<'P' 2>/dev/null
import os, pycolmap
from colmap4d import colmap_io
model = pycolmap.Reconstruction()
for i in (1, 2, 3):
    model.add_camera_with_trivial_rig(pycolmap.Camera(model="PINHOLE", width=640, height=480, params=[500, 500, 320, 240], camera_id=i))
    model.add_image_with_trivial_frame(pycolmap.Image(name=f"view{i}.png", camera_id=i, image_id=i), pycolmap.Rigid3d())
os.makedirs("text"); os.makedirs("binary"); model.write_text("text"); model.write_binary("binary")
lines = [line for line in open("text/images.txt").read().split("\n") if not line.startswith("#")]
print("pycolmap", pycolmap.__version__, "wrote", len(model.images), "images; their second lines:", [lines[k] for k in (1, 3, 5)])
print("pycolmap reads text:", len(pycolmap.Reconstruction("text").images), "images; colmap4d 1.0.1 reads binary:",
      len(colmap_io.read_model("binary").images), "images")
try:
    found = len(colmap_io.read_model("text").images)
    print("colmap4d 1.0.1 reads text:", found, "images")
except Exception as error:
    found = 0
    print("colmap4d 1.0.1 reads text:", type(error).__name__, error)
assert found != 3, "colmap4d now keeps empty lines"
P
