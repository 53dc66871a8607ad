#!/usr/bin/env bash
# nerfstudio's transforms.json calls a lens OPENCV, but its k3 and k4 are the coefficients of r^6 and r^8 of one polynomial, while
# OpenCV's k4 is in the denominator of the rational model: a file with k4 != 0 is another lens in each.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv venv; venv/bin/pip install -q "numpy==2.4.6" "opencv-python-headless==5.0.0.93"
venv/bin/pip download -q --no-deps "nerfstudio==1.1.5" -d . && unzip -q nerfstudio-1.1.5-*.whl
venv/bin/python - <<'P'
import cv2, numpy as np
source = open("nerfstudio/cameras/camera_utils.py").read()
polynomial = "1.0 + r * (k1 + r * (k2 + r * (k3 + r * k4)))"
assert polynomial in source, "nerfstudio changed its polynomial"
k1, k2, k3, k4 = -0.16, 0.1, 0.02, 0.3
x, y = 0.35, 0.2; r = x * x + y * y
theirs = np.array([x, y]) * (1.0 + r * (k1 + r * (k2 + r * (k3 + r * k4))))
lens = np.array([k1, k2, 0, 0, k3, k4, 0, 0])
ours = cv2.projectPoints(np.array([[x, y, 1.0]]), np.zeros(3), np.zeros(3), np.eye(3), lens)[0].ravel()
shift = np.abs(theirs - ours).max() * 1600
print(f"nerfstudio 1.1.5: {polynomial}\nopencv {cv2.__version__}: the same numbers land {shift:.1f} px away at 1600 px of focal length")
assert shift > 10
P
