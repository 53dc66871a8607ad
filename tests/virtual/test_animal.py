"""The procedural mouse: a sound mesh, exact skinning, motion that is smooth, inside the disc, and on feet that do not
slide."""

import numpy as np
import pytest
import trimesh

from mousefacelift.core.skinning import Pose, Skinner
from mousefacelift.virtual import anatomy, body_parts, mesh, motion, pose


@pytest.fixture(scope="module")
def mouse():
    return mesh.build_mouse(anatomy.Animal())


@pytest.fixture(scope="module")
def walk(mouse):
    track = motion.make_track(900, 3)
    return track, pose.Puppet(mouse, track)


def test_every_piece_is_closed_and_faces_outward(mouse):
    for piece in range(mouse.part.max() + 1):
        faces = mouse.faces[mouse.part[mouse.faces[:, 0]] == piece]
        shell = trimesh.Trimesh(mouse.vertices, faces, process=False)
        assert shell.is_watertight and shell.volume > 0


def test_vertex_count_labels_and_charts_are_those_of_a_mouse_mesh(mouse):
    assert 8_000 <= len(mouse.vertices) <= 16_000
    assert set(np.unique(mouse.region)) == {body_parts.FUR, body_parts.BARE, body_parts.EYE}
    assert mouse.uv.min() >= 0 and mouse.uv.max() <= 1 and mouse.faces_uv.shape == mouse.faces.shape
    assert np.allclose(mouse.weights.sum(1), 1) and mouse.weights.min() >= 0
    assert np.allclose(mouse.keypoints.sum(1), 1)
    assert np.allclose(np.linalg.norm(mouse.flow, axis=1), 1, atol=1e-3)


def test_size_is_that_of_a_laboratory_mouse(mouse):
    body = trimesh.Trimesh(mouse.vertices, mouse.faces[mouse.part[mouse.faces[:, 0]] == 0], process=False)
    assert 15_000 < body.volume < 40_000  # mm3 without fur
    names = list(anatomy.KEYPOINTS)
    rows = mouse.keypoints @ np.concatenate([mouse.vertices, mouse.joints])
    assert 75 < np.linalg.norm(rows[names.index("nose")] - rows[names.index("tail_root")]) < 100


def test_another_seed_is_another_animal_and_the_same_seed_is_the_same():
    a, b, c = (anatomy.pick_animal(seed) for seed in (5, 5, 6))
    assert a == b and a != c
    assert {anatomy.pick_animal(seed).coat for seed in range(40)} == set(anatomy.COATS)


def test_the_bind_pose_skins_to_itself(mouse):
    bind = Pose(np.tile(np.eye(3), (len(mouse.joints), 1, 1)), mouse.joints)
    assert np.abs(Skinner(mouse).vertices(bind) - mouse.vertices).max() < 1e-9


def test_a_rigid_motion_of_all_joints_moves_the_mesh_rigidly(mouse, rng):
    turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    turn *= np.sign(np.linalg.det(turn))
    shift = rng.normal(size=3) * 20
    moved = Pose(np.tile(turn, (len(mouse.joints), 1, 1)), mouse.joints @ turn.T + shift)
    assert np.abs(Skinner(mouse).vertices(moved) - (mouse.vertices @ turn.T + shift)).max() < 1e-9


def test_posed_joints_are_rotations_and_bones_keep_their_length(mouse, walk):
    _, puppet = walk
    rigid = [
        i for i, n in enumerate(mouse.joint_names) if n.endswith(("knee", "ankle", "elbow", "wrist", "head", "loin"))
    ]
    for step in range(0, 900, 45):
        posed = puppet.pose(step)
        assert np.abs(posed.rotations @ posed.rotations.transpose(0, 2, 1) - np.eye(3)).max() < 1e-6
        assert np.allclose(np.linalg.det(posed.rotations), 1)
        for i in rigid:
            p = mouse.parents[i]
            bind = np.linalg.norm(mouse.joints[i] - mouse.joints[p])
            assert np.linalg.norm(posed.positions[i] - posed.positions[p]) == pytest.approx(bind, rel=1e-6)


def test_planted_feet_do_not_slide(mouse, walk):
    track, puppet = walk
    joints = [puppet._index[f"{foot.split('_')[0]}_{'toes' if 'hind' in foot else 'digits'}"] for foot in pose.FEET]
    feet = np.stack([puppet.pose(step).positions[joints] for step in range(len(track))])
    steps = puppet.steps
    for foot in range(4):
        down = (steps.lift[:, foot] == 0) & (steps.free[:, foot] == 0)
        planted = down[1:] & down[:-1]
        moved = np.linalg.norm(np.diff(feet[:, foot], axis=0), axis=1)[planted]
        assert planted.sum() > 100
        assert np.percentile(moved, 95) < 0.05  # mm in 10 ms; forepaws are dragged a little when a turn outruns them
        assert np.percentile(np.linalg.norm(feet[:, foot, :2] - steps.place[:, foot], axis=1)[down], 95) < 3.0


def test_two_feet_of_one_girdle_are_never_in_the_air_while_walking(walk):
    track, puppet = walk
    lifted = puppet.steps.lift > 0
    for left, right in ((0, 2), (1, 3)):
        assert not np.any(lifted[:, left] & lifted[:, right])
    assert lifted.any(0).all()


def test_motion_is_smooth_and_stays_on_the_disc(walk):
    track, _ = walk
    assert np.linalg.norm(np.diff(track.position, axis=0), axis=1).max() < 3.0  # 300 mm/s
    assert np.linalg.norm(track.position - motion.ARENA_CENTER, axis=1).max() < motion.ROAM_RADIUS + 1
    for name in ("rear", "groom", "hunch", "head_yaw", "bend"):
        assert np.abs(np.diff(getattr(track, name))).max() < 0.12


def test_a_short_recording_shows_every_behaviour():
    assert set(motion.make_track(1000, 8).behaviour) == set(range(len(motion.BEHAVIOURS)))


def test_a_cut_jumps_by_110_mm_and_nothing_else_does():
    track = motion.make_track(motion.steps_needed(40, 20.0, True), 2)
    steps = motion.frame_steps(track, 40, 20.0, True)
    jumps = np.linalg.norm(np.diff(track.position[steps], axis=0), axis=1)
    assert np.argmax(jumps) == 19 and 80 < jumps[19] < 125
    assert np.delete(jumps, 19).max() < 15


def test_motion_resembles_the_real_mouse(shared, mouse):
    real = np.load(shared / "data/motion_real_mouse/keypoints3d_frames0-499_100fps.npz")["keypoints_mm"]
    skinner, rates, longest = Skinner(mouse), [], []
    for seed in (1, 2, 3):
        track = motion.make_track(1500, seed)
        puppet = pose.Puppet(mouse, track)
        poses = [puppet.pose(step) for step in range(0, 1500, 10)]
        points = np.stack([skinner.keypoints(skinner.vertices(p), p) for p in poses])
        rates.append(np.linalg.norm(np.diff(points.mean(1), axis=0), axis=1) * 10)
        longest.append(np.linalg.norm(points[:, :, None] - points[:, None], axis=-1).max((1, 2)))
    true_rate = np.linalg.norm(np.diff(real[::10].mean(1), axis=0), axis=1) * 10
    true_longest = np.linalg.norm(real[:, :, None] - real[:, None], axis=-1).max((1, 2))
    assert 0.5 < np.median(np.concatenate(rates)) / np.median(true_rate) < 2.2
    assert np.percentile(np.concatenate(rates), 95) / np.percentile(true_rate, 95) < 2.0
    assert 0.85 < np.median(np.concatenate(longest)) / np.median(true_longest) < 1.25
