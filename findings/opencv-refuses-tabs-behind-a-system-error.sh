#!/usr/bin/env bash
# OpenCV's Python binding hides why it refuses a YAML file: the exception is a SystemError without a reason; the reason ("Tabs are
# prohibited in YAML!") is its __cause__. The C++ program prints it.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv venv; venv/bin/pip install -q "opencv-python-headless==5.0.0.93" "numpy==2.4.6"
printf '%%YAML:1.0\n---\nK: !!opencv-matrix\n\trows: 1\n\tcols: 1\n\tdt: d\n\tdata: [ 1. ]\n' > tabs.yml
venv/bin/python - 2>/dev/null <<'P'
import cv2
print("opencv", cv2.__version__)
try:
    cv2.FileStorage("tabs.yml", cv2.FILE_STORAGE_READ)
except BaseException as error:
    print(type(error).__name__, "|", error); print("cause:", error.__cause__)
    assert isinstance(error, SystemError) and "Tabs" not in str(error) and "Tabs are prohibited" in str(error.__cause__)
else:
    raise AssertionError("OpenCV now reads tabs")
P
