"""Rigs written by the real tools: read to 1e-6 px. Tools that cannot run here wrote the files of test_real_files."""

from __future__ import annotations

import json
import subprocess
import sys
import tarfile

import numpy as np
import pytest

from mousefacelift.capture.readers import multicamselfcal, read_calibration
from mousefacelift.formats.pixel_origin import from_zero_based
from mousefacelift.formats.raw_camera import RawCamera
from tests.capture.test_real_files import projection_error
from tests.peers import install, run_python

pytestmark = pytest.mark.slow

HEAD = "import sys, os, numpy as np\nT, out = np.load(sys.argv[1]), sys.argv[2]\n"
ANIPOSE = """
from aniposelib.cameras import Camera, CameraGroup
cameras = [Camera(name=f"cam{i}", matrix=T["K"][i], dist=T["brown"][i], size=tuple(int(v) for v in T["size"]),
                  rvec=T["rvec"][i], tvec=T["t"][i]) for i in range(6)]
CameraGroup(cameras).dump(out)
"""
SLEAP = """
import sleap_io as sio
cameras = [sio.Camera(name=f"cam{i}", matrix=T["K"][i], dist=T["brown"][i], size=tuple(int(v) for v in T["size"]),
                      rvec=T["rvec"][i], tvec=T["t"][i]) for i in range(6)]
sio.Labels(sessions=[sio.RecordingSession(camera_group=sio.CameraGroup(cameras=cameras))]).save(out)
"""
PYCOLMAP = """
import pycolmap
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
for point in T["points"]:
    model.add_point3D(point, pycolmap.Track(), np.array([127, 127, 127], np.uint8))
os.makedirs(out); model.write_binary(out)
"""
MULTICAM = """
import importlib.util, types
folder = sys.argv[3]
package = types.ModuleType("multicam_calibration"); package.__path__ = [folder]
sys.modules["multicam_calibration"] = package  # its __init__ imports the detectors of boards
from multicam_calibration import io
extrinsics = np.column_stack([T["rvec"], T["t"]])
intrinsics = [(T["K"][i], T["brown"][i]) for i in range(6)]
io.save_calibration(extrinsics, intrinsics, [f"cam{i}" for i in range(6)], out, sys.argv[4])
"""
MATLAB73 = """
import hdf5storage
params, names = np.empty((6, 1), object), np.empty((6, 1), object)
for i in range(6):
    k1, k2, p1, p2, k3 = T["brown"][i]
    params[i, 0] = {"K": (T["K"][i] + [[0, 0, 1], [0, 0, 1], [0, 0, 0]]).T, "r": T["R"][i].T, "t": T["t"][i][None],
                    "RDistort": np.array([[k1, k2, k3]]), "TDistort": np.array([[p1, p2]])}
    names[i, 0] = f"Camera{i + 1}"
hdf5storage.savemat(out, {"params": params, "camnames": names}, format="7.3", store_python_metadata=False)
"""


@pytest.fixture(scope="module")
def truth(shared):
    return shared / "fixtures/real_files/truth.npz"


def assert_exact(path, truth, key, name, order=None):
    cameras, found = read_calibration(path)
    assert found == name and len(cameras) == 6
    assert projection_error(cameras, np.load(truth), key, order).max() < 1e-6


@pytest.mark.parametrize(
    ("packages", "script", "file", "key", "name"),
    [
        (["aniposelib==0.8.0", "toml==0.10.2"], ANIPOSE, "calibration.toml", "uv_brown", "anipose_toml"),
        (["sleap-io==0.9.5", "simplejson==3.20.2"], SLEAP, "rig.slp", "uv_brown", "sleap_slp"),
        (["pycolmap==4.2.1"], PYCOLMAP, "rig", "uv_fish", "colmap"),
        (["hdf5storage==0.2.2"], MATLAB73, "label3d_dannce.mat", "uv_brown", "dannce_mat"),
    ],
)
def test_a_rig_of_the_real_tool(truth, tmp_path, packages, script, file, key, name):
    peers = install(tmp_path / "peers", *packages)
    run_python(peers, HEAD + script, truth, tmp_path / file)
    assert_exact(tmp_path / file, truth, key, name)


@pytest.mark.parametrize(
    ("file", "kind", "name"),
    [("c.json", "json", "opencv_json"), ("rig", "jarvis", "jarvis"), ("c.h5", "gimbal", "camera_hdf5")],
)
def test_every_file_of_multicam_calibration(truth, tmp_path, file, kind, name):
    command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-build-isolation", "-d", tmp_path]
    done = subprocess.run([*command, "multicam-calibration==0.0.0"], capture_output=True, text=True)
    archives = list(tmp_path.glob("*.tar.gz"))
    if done.returncode or not archives:
        pytest.skip("multicam-calibration cannot be fetched here")
    with tarfile.open(archives[0]) as archive:
        archive.extractall(tmp_path / "source", filter="data")
    folder = next((tmp_path / "source").glob("*/multicam_calibration"))
    run_python(tmp_path, HEAD + MULTICAM, truth, tmp_path / file, folder, kind)
    assert_exact(tmp_path / file, truth, "uv_brown", name)


NERFSTUDIO = """
from pathlib import Path
from unittest.mock import MagicMock
for name in ("nerfstudio.utils.writer", "viser", "viser.transforms", "appdirs", "nerfstudio.utils.colormaps",
             "nerfstudio.utils.scripts", "imageio", "mediapy", "rawpy", "newrawpy"):
    sys.modules[name] = MagicMock()  # viewers and logs, which the conversion does not touch
from nerfstudio.process_data.colmap_utils import colmap_to_json
colmap_to_json(Path(sys.argv[3]), Path(out), use_single_camera_mode=False)
"""


def test_nerfstudios_own_file_of_a_colmap_model_is_the_same_rig_in_another_world(truth, tmp_path):
    peers = install(tmp_path / "peers", "pycolmap==4.2.1", "nerfstudio==1.1.5")
    run_python(peers, HEAD + PYCOLMAP, truth, tmp_path / "rig")
    (tmp_path / "scene").mkdir()
    run_python(peers, HEAD + NERFSTUDIO, truth, tmp_path / "scene", tmp_path / "rig")
    world = np.eye(4)
    world[:3] = json.loads((tmp_path / "scene/transforms.json").read_text())["applied_transform"]
    cameras, name = read_calibration(tmp_path / "scene/transforms.json")
    assert name == "nerfstudio_json" and len(cameras) == 6
    numbers = dict(np.load(truth))
    numbers["points"] = numbers["points"] @ world[:3, :3].T + world[:3, 3]
    assert projection_error(cameras, numbers, "uv_fish").max() < 1e-6


MCSC = """
from pymvg.multi_camera_system import MultiCameraSystem
system = MultiCameraSystem.from_mcsc(out)
np.save(sys.argv[3], [[system.find2d(f"cam{i}", point) for point in T["points"]] for i in range(6)])
"""


def test_pymvg_and_we_see_one_rig_in_a_folder_of_multicamselfcal(truth, tmp_path):
    numbers = np.load(truth)
    cameras = [
        RawCamera(
            f"cam{i}", from_zero_based(numbers["K"][i]), numbers["R"][i], numbers["t"][i], width=1152, height=1024
        )
        for i in range(6)
    ]
    multicamselfcal.write(tmp_path / "mcsc", cameras)
    for path in (tmp_path / "mcsc").glob("*.rad"):
        path.unlink()
    peers = install(tmp_path / "peers", "pymvg==2.1.0")
    run_python(peers, HEAD + MCSC, truth, tmp_path / "mcsc", tmp_path / "seen.npy")
    assert np.abs(np.load(tmp_path / "seen.npy") - numbers["uv_pin"]).max() < 1e-6
    assert_exact(tmp_path / "mcsc", truth, "uv_pin", "multicamselfcal")
