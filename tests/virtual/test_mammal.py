"""A user's copy of the MAMMAL mouse stands in for the procedural animal."""

import json
import shutil

import numpy as np
import pytest

from mousefacelift.core.skinning import Skinner
from mousefacelift.errors import ConfigError, DataError
from mousefacelift.virtual import truth
from mousefacelift.virtual.anatomy import Animal
from mousefacelift.virtual.config import NO_DEFECTS, VirtualConfig
from mousefacelift.virtual.mammal import MammalPuppet
from mousefacelift.virtual.record import write_recording


@pytest.fixture(scope="module")
def copy(shared, tmp_path_factory):
    """The kit's arrays written as the text files of the public repository."""
    folder = tmp_path_factory.mktemp("mammal") / "mouse_txt"
    folder.mkdir()
    with np.load(shared / "data/mammal_mouse_mesh/mouse_mesh.npz") as m:
        for name, key, fmt in (
            ("vertices", "vertices", "%.7f"),
            ("faces_vert", "faces", "%d"),
            ("t_pose_joints", "joints", "%.7f"),
            ("parents", "parents", "%d"),
            ("textures", "uv", "%.6f"),
            ("faces_tex", "faces_uv", "%d"),
        ):
            np.savetxt(folder / f"{name}.txt", m[key], fmt=fmt)
        np.savetxt(
            folder / "skinning_weights.txt", np.stack([m["w_joint"], m["w_vertex"], m["w_value"]], -1), fmt="%d %d %.6f"
        )
        (folder / "joint_names.txt").write_text("\n".join(m["joint_names"]) + "\n")
    with np.load(shared / "data/mammal_mouse_mesh/mouse_motion_fit_100poses_20fps.npz") as p:
        np.savez(
            folder / "poses.npz",
            fps=20.0,
            **{k: p[k] for k in ("pose_rotvec", "bone_scale", "global_scale", "translation_mm")},
        )
    shutil.copy(shared / "data/mammal_mouse_mesh/keypoint22_mapper.json", folder)
    return folder


def test_posed_vertices_equal_the_kits_ground_truth(copy, shared):
    puppet = MammalPuppet(copy, Animal())
    with np.load(shared / "data/virtual_capture_sample/ground_truth_vertices.npz") as known:
        for i in (0, 2, 4):  # the kit holds the poses of the first five frames
            vertices = Skinner(puppet.mesh).vertices(puppet.pose(int(known["pose_index"][i])))
            difference = np.abs(vertices - known["vertices_mm"][i])
            assert np.median(difference) < 1e-4 and difference.max() < 0.5  # its weights sum to 0.996-1.002; ours to 1


def test_the_mapper_is_read_as_published_with_its_points_beyond_the_labels(copy, shared, tmp_path):
    plain = MammalPuppet(copy, Animal()).mesh.keypoints
    folder = tmp_path / "mouse_txt"
    shutil.copytree(copy, folder)
    entries = json.loads((folder / "keypoint22_mapper.json").read_text())
    more = [*entries, {"keypoint": 22, "type": "V", "ids": [13693, 13661]}]
    (folder / "keypoint22_mapper.json").write_text(json.dumps({"mapper": more}))
    assert np.array_equal(MammalPuppet(folder, Animal()).mesh.keypoints, plain)
    (folder / "keypoint22_mapper.json").write_text(json.dumps({"mapper": entries[:-1]}))
    with pytest.raises(DataError, match="lacks keypoints"):
        MammalPuppet(folder, Animal())


def test_regions_agree_with_the_painted_ones(copy, shared):
    mesh = MammalPuppet(copy, Animal()).mesh
    with np.load(shared / "data/mammal_mouse_mesh/mouse_mesh.npz") as m:
        assert np.array_equal(mesh.region == 2, m["eye"] > 0)
        assert np.corrcoef(mesh.fur[m["component"] == 0], m["fur_weight"][m["component"] == 0])[0, 1] > 0.9


def test_keypoints_are_those_of_the_real_mouse_within_the_fits_residual(copy, shared):
    puppet = MammalPuppet(copy, Animal())
    skinner = Skinner(puppet.mesh)
    real = np.load(shared / "data/motion_real_mouse/keypoints3d_frames0-499_100fps.npz")["keypoints_mm"][::5]
    errors = []
    for step in range(0, 100, 10):
        pose = puppet.pose(step)
        errors.append(np.linalg.norm(skinner.keypoints(skinner.vertices(pose), pose) - real[step], axis=1))
    assert np.median(errors) < 3.0


def test_a_recording_of_it_is_written_with_its_truth(copy, tmp_path):
    config = VirtualConfig(
        width=96, height=84, frames=3, fps=10.0, strands=800, mesh=str(copy), degradations=NO_DEFECTS
    )
    folder = write_recording(tmp_path / "m", "m", config, 0)
    vertices, faces = truth.truth_mesh(folder, 2)
    assert len(vertices) == 14522 and len(faces) == 28800
    assert truth.render_truth(folder, 2, truth.true_cameras(folder)[3])[..., 3].sum() > 100
    assert json.loads((folder / "recording.json").read_text())["config"]["mesh"] == str(copy)


def test_a_longer_recording_than_the_motion_and_missing_files_are_refused(copy, tmp_path):
    with pytest.raises(ConfigError, match="poses.npz"):
        write_recording(
            tmp_path / "m", "m", VirtualConfig(frames=60, fps=10.0, mesh=str(copy), degradations=NO_DEFECTS), 0
        )
    broken = tmp_path / "broken"
    shutil.copytree(copy, broken)
    (broken / "parents.txt").unlink()
    with pytest.raises(DataError, match="parents.txt"):
        MammalPuppet(broken, Animal())
