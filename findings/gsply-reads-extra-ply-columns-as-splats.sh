#!/usr/bin/env bash
# gsply takes a splat PLY for rows of float32 whatever its header says: uchar colours inside the row (as FaceLift and GS-LRM
# write them, valid PLY) shift all later columns or make it refuse the file. plyfile reads the same file right.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv venv; venv/bin/pip install -q "gsply==0.4.6" "plyfile==1.1.5" "numpy==2.4.6"
venv/bin/python - <<'P'
import gsply, numpy as np
from plyfile import PlyData, PlyElement
from importlib.metadata import version
names = [*"xyz", "red", "green", "blue", *(f"f_dc_{i}" for i in range(3)), *(f"f_rest_{i}" for i in range(45)), "opacity",
         *(f"scale_{i}" for i in range(3)), *(f"rot_{i}" for i in range(4))]
table = np.zeros(2, [(n, "u1" if n in ("red", "green", "blue") else "<f4") for n in names])
table["x"], table["y"], table["z"], table["rot_0"] = [0.1, 0.4], [0.2, 0.5], [0.3, 0.6], 1
PlyData([PlyElement.describe(table, "vertex")], byte_order="<").write("colours.ply")
right = np.stack([PlyData.read("colours.ply")["vertex"].data[a] for a in "xyz"], 1)
print("gsply", version("gsply"), "plyfile", version("plyfile"), "row of", table.dtype.itemsize, "bytes")
print("plyfile:", right.tolist())
try:
    found = np.asarray(gsply.plyread("colours.ply").means)
    print("gsply:  ", found.tolist())
    wrong = found.shape != right.shape or not np.allclose(found, right)
except Exception as error:
    print("gsply:  ", type(error).__name__, error); wrong = True
assert wrong, "gsply now reads PLY files with uchar colours"
P
