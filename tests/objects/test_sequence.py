"""Mesh sequences: skinning against closed forms and the kit's poses, every form through the one door."""

import numpy as np
import pytest

from mousefacelift.core.cameras import project
from mousefacelift.core.samples import read_sample
from mousefacelift.errors import ConfigError, DataError
from mousefacelift.formats.mammal import read_mammal
from mousefacelift.objects.batch import describe
from mousefacelift.objects.config import ObjectsConfig, ScansConfig
from mousefacelift.objects.scans import Scan, render_scans
from mousefacelift.objects.sequence import open_sequence

from ..core.test_skinning import arm
from .shapes import sphere

SMALL = ObjectsConfig(size=48, supersampling=2, scans=ScansConfig(views=4))


def write_mammal(folder, kit):
    """The kit's arrays as the text files of a MAMMAL copy."""
    folder.mkdir()
    np.savetxt(folder / "vertices.txt", kit["vertices"])
    np.savetxt(folder / "faces_vert.txt", kit["faces"], fmt="%d")
    np.savetxt(folder / "t_pose_joints.txt", kit["joints"])
    np.savetxt(folder / "parents.txt", kit["parents"], fmt="%d")
    np.savetxt(folder / "skinning_weights.txt", np.stack([kit["w_joint"], kit["w_vertex"], kit["w_value"]], -1))


def test_posed_mammal_mouse_equals_the_kits_vertices(shared, tmp_path):
    data = shared / "data"
    with np.load(data / "mammal_mouse_mesh/mouse_mesh.npz") as kit:
        write_mammal(tmp_path / "mouse_txt", kit)
    poses = data / "mammal_mouse_mesh/mouse_motion_fit_100poses_20fps.npz"
    with np.load(data / "virtual_capture_sample/ground_truth_vertices.npz") as truth:
        index, expected = truth["pose_index"], truth["vertices_mm"]
    sequence = open_sequence(tmp_path / "mouse_txt", poses)
    fitted = np.flatnonzero(index < sequence.count)
    assert len(fitted) >= 3
    for k in fitted[:3]:
        assert np.abs(sequence.mesh(int(index[k])).vertices - expected[k]).max() < 0.1  # mm; the kit blends
        # with weights as printed, whose sums are off by up to 0.001; here they are scaled to 1


def test_poses_for_another_skeleton_are_refused(tmp_path):
    body = arm()
    folder = tmp_path / "mouse_txt"
    write_mammal(
        folder,
        {
            "vertices": body.vertices,
            "faces": body.faces,
            "joints": body.joints,
            "parents": body.parents,
            "w_joint": [0, 1, 1],
            "w_vertex": [0, 1, 2],
            "w_value": [1, 1, 1],
        },
    )
    np.savez(tmp_path / "poses.npz", pose_rotvec=np.zeros((4, 7, 3)))
    assert read_mammal(folder).joints.shape == (2, 3)
    assert open_sequence(folder).count == 1
    with pytest.raises(DataError, match="poses do not fit"):
        open_sequence(folder, tmp_path / "poses.npz")
    (folder / "parents.txt").unlink()
    with pytest.raises(DataError, match="no parents.txt"):
        read_mammal(folder)


def write_npz(path, frames=5, **more):
    ball = sphere(subdivisions=2)
    vertices = np.stack([ball.vertices * [1, 1, 1 + 0.1 * k] * 30 + [k, 0, 50] for k in range(frames)])
    np.savez(path, vertices=vertices, faces=ball.faces, **more)
    return vertices


def scan(path, name, independent=False, config=SMALL):
    return Scan(path, None, name, independent, config, seed=0)


def test_a_sequence_becomes_samples_whose_truth_mesh_is_what_the_cameras_see(tmp_path):
    write_npz(tmp_path / "ball.npz", time_s=np.arange(5) / 10, licence="CC0")
    index = render_scans(scan(tmp_path / "ball.npz", "ball"), tmp_path / "out/index.json", range(0, 5, 4))
    assert [row["frame"] for row in index["items"]] == [0, 4]
    sample = read_sample(tmp_path / "out/000004")
    assert sample.facts.source == "scan" and sample.facts.time_s == 0.4 and sample.facts.licence == "CC0"
    with np.load(tmp_path / "out/000004/truth.npz") as truth:
        vertices = truth["vertices"]
    for view in sample.views:
        pixels = project(view.camera, vertices)[0]
        rows, columns = np.nonzero(view.rgba[..., 3] > 0.5)
        assert np.abs(pixels.min(0) - [columns.min(), rows.min()]).max() < 1
        assert np.abs(pixels.max(0) - [columns.max() + 1, rows.max() + 1]).max() < 1
    first = np.load(tmp_path / "out/000000/truth.npz")["vertices"]
    assert np.ptp(first[:, 2]) / np.ptp(vertices[:, 2]) == pytest.approx(1 / 1.4, rel=1e-4)  # one scale for all frames


def test_only_an_independent_sequence_names_no_recording(tmp_path):
    write_npz(tmp_path / "ball.npz")
    for independent in (False, True):
        render_scans(
            scan(tmp_path / "ball.npz", "m1", independent), tmp_path / f"{independent}/index.json", range(4, 5)
        )
    facts = [read_sample(tmp_path / name / "000004").facts for name in ("False", "True")]
    assert [(f.recording, f.asset, f.frame) for f in facts] == [("m1", "m1", 4), ("", "m1", 4)]


def test_vertex_colours_and_textures_are_seen(tmp_path):
    texture = np.zeros((4, 4, 3), np.uint8)
    texture[..., 1] = 255
    ball = sphere(subdivisions=2)
    write_npz(tmp_path / "a.npz", colors=np.tile([1.0, 0, 0], (len(ball.vertices), 1)))
    write_npz(tmp_path / "b.npz", uv=np.zeros((1, 2)), faces_uv=np.zeros_like(ball.faces), texture=texture)
    for name, channel in (("a", 0), ("b", 1)):
        render_scans(scan(tmp_path / f"{name}.npz", name), tmp_path / name / "index.json", range(1))
        middle = read_sample(tmp_path / name / "000000").views[0].rgba[24, 24]
        assert middle[channel] > 0.3 and middle[2] < 0.01


def test_mesh_files_in_a_folder_are_frames_in_order(tmp_path):
    import trimesh

    for k in range(3):
        trimesh.creation.box((1, 1, 1 + k)).export(tmp_path / f"{k:03d}.ply")
    sequence = open_sequence(tmp_path)
    assert sequence.count == 3
    assert [round(float(np.ptp(sequence.mesh(k).vertices[:, 2]))) for k in range(3)] == [1, 2, 3]


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"faces": np.zeros((1, 3))}, "vertices and faces"),
        ({"vertices": np.zeros((4, 3)), "faces": np.zeros((1, 3))}, "wrong shape"),
        ({"vertices": np.zeros((2, 4, 3)), "faces": np.array([[0, 1, 9]])}, "do not fit"),
        (
            {"vertices": np.zeros((2, 4, 3)), "faces": np.array([[0, 1, 2]]), "colors": np.zeros((3, 3))},
            "colours do not fit",
        ),
    ],
)
def test_sequences_that_do_not_fit_together_are_refused(tmp_path, arrays, message):
    np.savez(tmp_path / "bad.npz", **arrays)
    with pytest.raises(DataError, match=message):
        open_sequence(tmp_path / "bad.npz")


def test_a_bad_frame_is_a_row_with_its_reason_and_the_others_are_made(tmp_path):
    import trimesh

    for k in range(3):
        trimesh.creation.box((1, 1, 1 + k)).export(tmp_path / f"{k:03d}.ply")
    (tmp_path / "001.ply").write_bytes(b"PK\x03\x04" + bytes(50))
    (tmp_path / "003.ply").write_bytes(b"ply\nformat ascii 1.0\nelement face 20000000\nend_header\n")
    index = render_scans(scan(tmp_path, "boxes", independent=True), tmp_path / "out/index.json")
    assert [row["status"] for row in index["items"]] == ["done", "refused", "done", "refused"]
    assert "cannot be read" in index["items"][1]["reason"] and "too many faces" in index["items"][3]["reason"]
    assert describe(index).startswith("2 done, 2 refused, 0 failed")
    first, third = (np.load(tmp_path / f"out/{k:06d}/truth.npz")["vertices"] for k in (0, 2))
    assert np.ptp(first[:, 0]) == pytest.approx(np.ptp(third[:, 0]))  # one scale, from the frames that can be read


def test_frames_do_not_depend_on_their_chunk_and_missing_ones_are_refused(tmp_path):
    write_npz(tmp_path / "ball.npz")
    render_scans(scan(tmp_path / "ball.npz", "ball"), tmp_path / "a/index.json")
    render_scans(scan(tmp_path / "ball.npz", "ball"), tmp_path / "b/index.json", range(2, 4))
    for file in ("opencv_cameras.json", "images/cam_003.png"):
        assert (tmp_path / "a/000003" / file).read_bytes() == (tmp_path / "b/000003" / file).read_bytes()
    with pytest.raises(ConfigError, match="fewer frames"):
        render_scans(scan(tmp_path / "ball.npz", "ball"), tmp_path / "c/index.json", range(4, 6))
