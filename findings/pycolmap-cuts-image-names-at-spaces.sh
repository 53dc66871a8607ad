#!/usr/bin/env bash
# COLMAP writes a text model whose image names have spaces, and reads the same file back with the names cut at the first space:
# twelve images "view 1.png" ... come back as twelve images "view". The binary model keeps them.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv venv; venv/bin/pip install -q "pycolmap==4.2.1" "numpy==2.4.6"
mkdir first text binary
printf '1 PINHOLE 640 480 500 500 320 240\n' > first/cameras.txt
for i in 1 2 3; do printf '%s 1 0 0 0 0 0 %s 1 a%s.png\n\n' $i $i $i; done > first/images.txt
: > first/points3D.txt
venv/bin/python - <<'P' 2>/dev/null
import pycolmap
model = pycolmap.Reconstruction("first")
for number, image in model.images.items():
    image.name = f"view {number}.png"
model.write_text("text"); model.write_binary("binary")
print("pycolmap", pycolmap.__version__, "wrote", sorted(image.name for image in model.images.values()))
for kind in ("text", "binary"):
    names = sorted(image.name for image in pycolmap.Reconstruction(kind).images.values())
    print(f"{kind}: read back", names)
    assert (names == ["view"] * 3) == (kind == "text"), "pycolmap now keeps names with spaces in text models"
P
