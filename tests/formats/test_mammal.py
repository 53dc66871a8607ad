"""The MAMMAL mouse's text files: what belongs together is read, the rest is refused."""

import numpy as np
import pytest

from mousefacelift.errors import DataError
from mousefacelift.formats.mammal import make_weights, read_mammal, read_poses

from ..core.test_skinning import arm


def test_bones_of_every_step_or_of_the_animal_and_what_a_file_leaves_out(tmp_path):
    turns = np.zeros((3, 2, 3))
    np.savez(tmp_path / "a.npz", pose_rotvec=turns)
    plain = read_poses(tmp_path / "a.npz", 2)
    assert plain.scale == 1 and plain.fps == 20 and (plain.bones == 1).all() and not plain.translation.any()
    np.savez(tmp_path / "b.npz", pose_rotvec=turns, bone_scale=[1.0, 2.0], translation_mm=np.ones((3, 3)))
    np.savez(tmp_path / "c.npz", pose_rotvec=turns, bone_scale=[[1.0, 2.0], [1.0, 3.0], [1.0, 4.0]])
    assert read_poses(tmp_path / "b.npz", 2).bones.tolist() == [[1, 2]] * 3
    assert read_poses(tmp_path / "c.npz", 2).bones[:, 1].tolist() == [2, 3, 4]
    moved = read_poses(tmp_path / "b.npz", 2).pose(arm().joints, arm().parents, 1)
    assert np.allclose(moved.positions, [[1, 1, 1], [3, 1, 1]])


@pytest.mark.parametrize("arrays", [{"other": np.zeros(3)}, {"pose_rotvec": np.zeros((4, 7, 3))}])
def test_poses_of_another_skeleton_are_refused(tmp_path, arrays):
    np.savez(tmp_path / "poses.npz", **arrays)
    with pytest.raises(DataError, match=r"do not fit(.|\n)*\[T, 2, 3\]"):
        read_poses(tmp_path / "poses.npz", 2)


def test_a_vertex_without_weight_and_files_of_two_animals_are_refused(tmp_path):
    with pytest.raises(DataError, match="without skinning weight"):
        make_weights(np.array([[0, 0, 1.0]]), (2, 1), "x")
    mesh = arm()
    np.savetxt(tmp_path / "vertices.txt", mesh.vertices)
    np.savetxt(tmp_path / "faces_vert.txt", mesh.faces, fmt="%d")
    np.savetxt(tmp_path / "t_pose_joints.txt", mesh.joints)
    np.savetxt(tmp_path / "parents.txt", [-1, 0], fmt="%d")
    np.savetxt(tmp_path / "skinning_weights.txt", [[0, 0, 1], [1, 1, 1], [1, 2, 1]])
    assert read_mammal(tmp_path).vertices.shape == (3, 3)
    (tmp_path / "joint_names.txt").write_text("root elbow wrist")
    with pytest.raises(DataError, match=r"do not belong together(.|\n)*3 names"):
        read_mammal(tmp_path)
