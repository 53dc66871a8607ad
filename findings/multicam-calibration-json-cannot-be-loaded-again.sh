#!/usr/bin/env bash
# multicam-calibration writes its JSON with keys R, T, camera_matrix, distortion_coefs, and loads it by "rotation" and
# "translation": its own loader raises KeyError on its own file. (The HDF5 and the JARVIS folder load.)
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv venv; venv/bin/pip install -q "numpy==2.4.6" "opencv-python-headless==5.0.0.93" "h5py==3.16.0"
venv/bin/pip download -q --no-deps "multicam-calibration==0.0.0" -d .
tar xzf multicam-calibration-0.0.0.tar.gz || tar xzf multicam_calibration-0.0.0.tar.gz
cat > run.py <<'P'
import glob, importlib.util, sys, types, numpy as np, cv2
folder = glob.glob("multicam*calibration-0.0.0/multicam_calibration")[0]
package = types.ModuleType("multicam_calibration"); package.__path__ = [folder]; sys.modules["multicam_calibration"] = package
def load(name):
    spec = importlib.util.spec_from_file_location(f"multicam_calibration.{name}", f"{folder}/{name}.py")
    module = importlib.util.module_from_spec(spec); sys.modules[spec.name] = module; spec.loader.exec_module(module); return module
try:
    load("geometry"); io = load("io")
except ModuleNotFoundError as error:
    sys.exit(f"needs {error.name}")
extrinsics, intrinsics = np.array([[0.1, 0.2, 0.3, 1.0, 2.0, 3.0]]), [(np.diag([500.0, 500, 1]), np.zeros(5))]
io.save_calibration(extrinsics, intrinsics, ["cam"], "c.json", "json")
import json; print("keys written:", sorted(json.load(open("c.json"))["cam"]))
try:
    io.load_calibration("c.json", "json"); raise AssertionError("multicam-calibration now loads its own JSON")
except KeyError as error:
    print("loading the same file: KeyError", error)
P
for extra in "" tqdm scipy matplotlib; do [ -z "$extra" ] || venv/bin/pip install -q "$extra"; venv/bin/python run.py && exit 0; done; exit 1
