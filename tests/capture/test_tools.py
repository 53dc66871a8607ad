"""Rigs written by the real tools, installed from the package registry into a temporary environment: read to 1e-6 px."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from mousefacelift.capture.readers import read_calibration
from tests.capture.test_real_files import projection_error

pytestmark = pytest.mark.slow

SLEAP = """
import sys, numpy as np, sleap_io as sio
T, out = np.load(sys.argv[1]), sys.argv[2]
cameras = [sio.Camera(name=f"cam{i}", matrix=T["K"][i], dist=T["brown"][i], size=tuple(int(v) for v in T["size"]),
                      rvec=T["rvec"][i], tvec=T["t"][i]) for i in range(6)]
sio.Labels(sessions=[sio.RecordingSession(camera_group=sio.CameraGroup(cameras=cameras))]).save(out + "/rig.slp")
"""
PYCOLMAP = """
import sys, os, numpy as np, pycolmap
T, out = np.load(sys.argv[1]), sys.argv[2]
model = pycolmap.Reconstruction()
for i in range(6):
    K, d = T["K"][i], T["fish"][i]
    params = [K[0, 0], K[1, 1], K[0, 2] + 0.5, K[1, 2] + 0.5, *d]
    camera = pycolmap.Camera(model="OPENCV_FISHEYE", width=int(T["size"][0]), height=int(T["size"][1]), params=params,
                             camera_id=i + 1)
    model.add_camera_with_trivial_rig(camera)
    pose = pycolmap.Rigid3d(pycolmap.Rotation3d(T["R"][i]), T["t"][i])
    image = pycolmap.Image(name=f"Camera{i + 1}/frame 0.png", camera_id=i + 1, image_id=i + 1)
    model.add_image_with_trivial_frame(image, pose)
os.makedirs(out + "/rig"); model.write_binary(out + "/rig")
"""
GIMBAL = """
import sys, numpy as np, h5py
T, out = np.load(sys.argv[1]), sys.argv[2]
with h5py.File(out + "/rig.h5", "w") as file:
    group = file.create_group("camera_parameters")
    group["dist_coefs"], group["intrinsic"] = T["brown"], T["K"]
    group["rotation"], group["translation"] = T["R"], T["t"]
    group["camera_names"] = [f"cam{i}" for i in range(6)]
"""


@pytest.mark.parametrize(
    ("packages", "script", "file", "key"),
    [
        (["sleap-io==0.9.5"], SLEAP, "rig.slp", "uv_brown"),
        (["pycolmap==4.2.1", "numpy"], PYCOLMAP, "rig", "uv_fish"),
        (["h5py==3.16.0", "numpy"], GIMBAL, "rig.h5", "uv_brown"),
    ],
)
def test_a_rig_of_the_real_tool(shared, tmp_path, packages, script, file, key):
    if file.endswith((".slp", ".h5")):
        pytest.importorskip("h5py", reason="HDF5 formats need the extra 'files'")
    truth = shared / "fixtures/real_files/truth.npz"
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    python = tmp_path / "venv/bin/python"
    installed = subprocess.run([python, "-m", "pip", "install", "-q", *packages], capture_output=True, text=True)
    if installed.returncode:
        pytest.skip(f"{packages[0]} does not install here: {installed.stderr.splitlines()[-1:]}")
    subprocess.run([python, "-c", script, truth, tmp_path], check=True)
    cameras, _ = read_calibration(tmp_path / file)
    assert len(cameras) == 6 and projection_error(cameras, np.load(truth), key).max() < 1e-6


def test_pycolmap_opens_an_exported_sample_with_its_points(tmp_path):
    from mousefacelift.core.cameras import canonical_fxfycxcy, orbit
    from mousefacelift.dataset.formats import colmap
    from tests.dataset.conftest import toy_sample
    from tests.dataset.test_formats import META

    sample = toy_sample([orbit(a, 20, 2.7, canonical_fxfycxcy(48), 48, 48) for a in range(0, 360, 45)], 20, **META)
    colmap.write(tmp_path / "c", sample)
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    python = tmp_path / "venv/bin/python"
    if subprocess.run([python, "-m", "pip", "install", "-q", "pycolmap==4.2.1"], capture_output=True).returncode:
        pytest.skip("pycolmap does not install here")
    code = (
        "import sys, pycolmap; m = pycolmap.Reconstruction(sys.argv[1]);"
        "print(m.num_points3D(), len(m.images), sorted(m.images.values(), key=lambda i: i.name)[3].projection_center())"
    )
    run = subprocess.run([python, "-c", code, tmp_path / "c/sparse/0"], capture_output=True, text=True, check=True)
    points, images, *center = run.stdout.replace("[", " ").replace("]", " ").split()
    assert int(points) > 100 and int(images) == 8
    np.testing.assert_allclose(np.array(center, float), sample.views[3].camera.center, atol=1e-6)
