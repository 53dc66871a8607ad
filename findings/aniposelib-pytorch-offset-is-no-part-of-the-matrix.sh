#!/usr/bin/env bash
# aniposelib-pytorch writes calibration.toml for cropped cameras as the sensor's matrix plus `offset`; aniposelib reads the same
# file without a word about the key, and projects points off by exactly the crop.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv venv; venv/bin/pip install -q "numpy==2.4.6"
venv/bin/pip download -q --no-deps "aniposelib==0.8.0" "aniposelib-pytorch==1.0.0" -d .
mkdir old new; unzip -q aniposelib-0.8.0-*.whl -d old; unzip -q aniposelib_pytorch-1.0.0-*.whl -d new
venv/bin/python - <<'P'
import ast
def method(path, name):
    tree = ast.parse(open(path).read())
    return next(ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name == name)
old, new = method("old/aniposelib/cameras.py", "load_dict"), method("new/aniposelib/cameras.py", "load_dict")
project = method("new/aniposelib/cameras.py", "project_points")
print("aniposelib-pytorch 1.0.0 load_dict reads offset:", "offset" in new, "| project_points: ",
      [line.strip() for line in project.splitlines() if "- offset" in line])
print("aniposelib 0.8.0 load_dict reads offset:", "offset" in old, "| refuses unknown keys:", "raise" in old)
assert "offset" in new and "offset" not in old and "raise" not in old and "p2d - offset" in project
P
