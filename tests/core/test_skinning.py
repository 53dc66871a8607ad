"""Skinning against closed forms: two bones, bent, stretched and turned."""

import numpy as np
from scipy.spatial.transform import Rotation

from mousefacelift.core.skinning import Skinner, chain_pose
from mousefacelift.formats.mammal import ArticulatedMesh, make_weights


def arm():
    """Two bones along x, each vertex bound to one."""
    vertices = np.array([[0.5, 0, 0], [1.5, 0, 0], [1.5, 0.2, 0]])
    joints = np.array([[0.0, 0, 0], [1.0, 0, 0]])
    weights = make_weights(np.array([[0, 0, 1.0], [1, 1, 1.0], [1, 2, 1.0]]), (3, 2), "arm")
    return ArticulatedMesh(vertices, np.array([[0, 1, 2]]), joints, np.array([-1, 0]), weights)


def posed(rotvec, stretch=(1.0, 1.0), mesh=None):
    mesh = mesh or arm()
    return Skinner(mesh).vertices(chain_pose(mesh.joints, mesh.parents, rotvec, stretch))


def test_the_rest_pose_is_the_mesh_itself():
    assert np.allclose(posed(np.zeros((2, 3))), arm().vertices)


def test_bending_the_elbow_moves_only_the_forearm_about_the_joint():
    assert np.allclose(posed([[0, 0, 0], [0, 0, np.pi / 2]]), [[0.5, 0, 0], [1, 0.5, 0], [0.8, 0.5, 0]])


def test_bones_stretch_and_the_whole_is_scaled():
    assert np.allclose(posed(np.zeros((2, 3)), [1.0, 2.0], arm().scaled(10.0)), [[5, 0, 0], [25, 0, 0], [25, 2, 0]])


def test_turning_the_root_turns_everything(rng):
    turn = rng.normal(size=3)
    turned = posed(np.stack([turn, np.zeros(3)]))
    assert np.allclose(turned, arm().vertices @ Rotation.from_rotvec(turn).as_matrix().T)


def test_a_vertex_between_two_bones_takes_the_mean_of_both():
    mesh = arm()
    half = make_weights(np.array([[0, 0, 3.0], [1, 0, 3.0], [1, 1, 1.0], [1, 2, 0.2]]), (3, 2), "arm")
    assert np.allclose(half.toarray(), [[0.5, 0.5], [0, 1], [0, 1]])  # scaled to sum to 1
    bent = [[0, 0, 0], [0, 0, np.pi / 2]]
    mixed = posed(bent, mesh=ArticulatedMesh(mesh.vertices, mesh.faces, mesh.joints, mesh.parents, half))
    assert np.allclose(mixed[0], (np.array([0.5, 0, 0]) + [1, -0.5, 0]) / 2)
