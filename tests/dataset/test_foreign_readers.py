"""Exported scenes, opened by the programs of others; each format by at least two where two can be installed."""

from __future__ import annotations

import json

import numpy as np
import pytest

from mousefacelift.core.cameras import canonical_fxfycxcy, orbit
from mousefacelift.dataset.exchange import WRITERS
from tests.dataset.conftest import toy_sample
from tests.peers import install, run_python

pytestmark = pytest.mark.slow

PYCOLMAP = """
import json, sys, pycolmap
model = pycolmap.Reconstruction(sys.argv[1])
images = sorted(model.images.values(), key=lambda image: image.name)
print(json.dumps({"centers": [image.projection_center().tolist() for image in images],
                  "focal": [model.cameras[image.camera_id].params[0] for image in images],
                  "names": [image.name for image in images], "points": model.num_points3D()}))
"""
NERFSTUDIO = """
import json, sys
from pathlib import Path
from unittest.mock import MagicMock
for name in ("nerfstudio.utils.writer", "viser", "viser.transforms", "appdirs", "nerfstudio.utils.colormaps",
             "nerfstudio.utils.scripts", "imageio", "mediapy", "rawpy", "newrawpy"):
    sys.modules[name] = MagicMock()  # viewers and logs, which the parsers do not touch
keep = {"orientation_method": "none", "center_method": "none", "auto_scale_poses": False, "downscale_factor": 1}
keep |= {"eval_mode": "all"}
if sys.argv[2] == "colmap":
    from nerfstudio.data.dataparsers.colmap_dataparser import ColmapDataParserConfig as Config
    keep |= {"colmap_path": Path("sparse/0"), "assume_colmap_world_coordinate_convention": False}
else:
    from nerfstudio.data.dataparsers.nerfstudio_dataparser import NerfstudioDataParserConfig as Config
found = Config(data=Path(sys.argv[1]), **keep).setup().get_dataparser_outputs("train")
poses = found.cameras.camera_to_worlds
points = found.metadata.get("points3D_xyz")
Path(sys.argv[3]).write_text(json.dumps({"centers": poses[:, :, 3].tolist(), "focal": found.cameras.fx[:, 0].tolist(),
    "backward": poses[:, :, 2].tolist(), "middle": found.cameras.cx[:, 0].tolist(),
    "names": [path.name for path in found.image_filenames], "points": 0 if points is None else len(points)}))
"""
NERFBASELINES = """
import json, sys
from pathlib import Path
if sys.argv[2] == "colmap":
    from nerfbaselines.datasets.colmap import load_colmap_dataset
    wanted = frozenset(["points3D_xyz"])
    found = load_colmap_dataset(sys.argv[1], test_indices=[], colmap_path="sparse/0", features=wanted)
else:
    from nerfbaselines.datasets.nerfstudio import load_nerfstudio_dataset
    found = load_nerfstudio_dataset(sys.argv[1], "train")
cameras, points = found["cameras"], found["points3D_xyz"]
Path(sys.argv[3]).write_text(json.dumps({"centers": cameras.poses[:, :3, 3].tolist(),
    "focal": cameras.intrinsics[:, 0].tolist(), "forward": cameras.poses[:, :3, 2].tolist(),
    "middle": cameras.intrinsics[:, 2].tolist(), "names": [Path(path).name for path in found["image_paths"]],
    "points": 0 if points is None else len(points)}))
"""


@pytest.fixture(scope="module")
def sample():
    cameras = [orbit(a, 20, 2.7, canonical_fxfycxcy(48), 48, 48) for a in range(0, 360, 45)]
    return toy_sample(cameras, 20, source="object", asset="toy", recording="")


def assert_seen(found, sample, atol):
    assert len(found["names"]) == len(sample.views) and found["names"] == sorted(found["names"])
    for view, center, focal in zip(sample.views, found["centers"], found["focal"]):
        np.testing.assert_allclose(center, view.camera.center, atol=atol)
        assert focal == pytest.approx(float(view.camera.fxfycxcy[0]), rel=1e-6)


def test_a_colmap_export_opens_in_pycolmap(sample, tmp_path):
    WRITERS["colmap"](tmp_path / "c", sample)
    peers = install(tmp_path / "peers", "pycolmap==4.2.1")
    found = json.loads(run_python(peers, PYCOLMAP, tmp_path / "c/sparse/0"))
    assert_seen(found, sample, 1e-9)
    assert found["points"] > 100


@pytest.mark.parametrize("name", ["colmap", "nerfstudio"])
def test_nerfstudio_parses_its_own_format_and_colmaps(sample, tmp_path, name):
    WRITERS[name](tmp_path / "s", sample)
    peers = install(tmp_path / "peers", "nerfstudio==1.1.5")
    run_python(peers, NERFSTUDIO, tmp_path / "s", name, tmp_path / "out.json")
    found = json.loads((tmp_path / "out.json").read_text())
    assert_seen(found, sample, 1e-6)
    for view, backward, middle in zip(sample.views, found["backward"], found["middle"]):
        np.testing.assert_allclose(backward, -view.camera.R[2], atol=1e-6)  # OpenGL cameras look along -z
        assert middle == view.camera.fxfycxcy[2]
    assert (found["points"] > 100) == (name == "colmap")


@pytest.mark.parametrize("name", ["colmap", "nerfstudio"])
def test_nerfbaselines_loads_both(sample, tmp_path, name):
    WRITERS[name](tmp_path / "s", sample)
    peers = install(tmp_path / "peers", "nerfbaselines==1.2.12")
    run_python(peers, NERFBASELINES, tmp_path / "s", name, tmp_path / "out.json")
    found = json.loads((tmp_path / "out.json").read_text())
    assert_seen(found, sample, 1e-6)
    for view, forward, middle in zip(sample.views, found["forward"], found["middle"]):
        np.testing.assert_allclose(forward, view.camera.R[2], atol=1e-6)  # OpenCV cameras look along z
        assert middle == view.camera.fxfycxcy[2]
    assert (found["points"] > 100) == (name == "colmap")
