#!/usr/bin/env bash
# `toml` (the writer that anipose's calibrations go through) writes numpy 2 numbers in a list as text: size = ["np.int64(1152)", ...].
# The file is valid TOML whose sizes are strings, and no reader of calibrations takes it.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv venv; venv/bin/pip install -q "toml==0.10.2" "numpy==2.4.6"
venv/bin/python - <<'P'
import numpy as np, toml, tomllib
text = toml.dumps({"cam_0": {"size": list(np.array([1152, 1024])), "error": np.float64(0.5)}})
print("toml", toml.__version__, "numpy", np.__version__); print(text)
size = tomllib.loads(text)["cam_0"]["size"]
assert size == ["np.int64(1152)", "np.int64(1024)"], size
P
