"""Every format gives back the images and the cameras that went in."""

from __future__ import annotations

import json
import re
import shutil
import sys
from functools import partial

import numpy as np
import pytest
import webdataset
from PIL import Image

from mousefacelift.cli import main
from mousefacelift.core.cameras import orbit
from mousefacelift.core.records import SampleFacts
from mousefacelift.core.samples import CAMERAS_FILE, read_sample
from mousefacelift.dataset.config import GateConfig
from mousefacelift.dataset.exchange import READERS, WRITERS, export_samples, import_folders
from mousefacelift.dataset.formats import facelift
from mousefacelift.dataset.formats.objaverse import ZERO123_FOV
from mousefacelift.dataset.shards import write_shards
from mousefacelift.errors import ConfigError, DataError
from tests.dataset.conftest import toy_sample

FACTS = SampleFacts("object", asset="toy", licence="CC0-1.0")
GATE = GateConfig(mask_size=48)


@pytest.fixture(scope="module")
def ring():
    """Eight views with Zero123's field of view, which every format can hold."""
    focal = 24 / np.tan(ZERO123_FOV / 2)
    numbers = np.array([focal, focal, 24, 24])
    return toy_sample(
        [orbit(a, 20, 2.7, numbers, 48, 48) for a in range(0, 360, 45)], 20, source="object", asset="toy", recording=""
    )


@pytest.mark.parametrize("name", sorted(set(WRITERS) & set(READERS)))
def test_round_trip(ring, tmp_path, name):
    WRITERS[name](tmp_path / "toy", ring)
    back = READERS[name](tmp_path / "toy", FACTS)
    assert len(back.views) == 8 and back.facts.licence == "CC0-1.0"
    for before, after in zip(ring.views, back.views):
        np.testing.assert_allclose(after.camera.w2c, before.camera.w2c, atol=1e-6)
        np.testing.assert_allclose(after.camera.fxfycxcy, before.camera.fxfycxcy, atol=1e-6)
        np.testing.assert_array_equal(np.rint(after.rgba * 255), np.rint(before.rgba * 255))


@pytest.mark.parametrize("name", sorted(set(WRITERS) & set(READERS)))
def test_an_import_goes_through_the_gate_into_a_chunk(ring, tmp_path, name):
    WRITERS[name](tmp_path / "toy", ring)
    document = import_folders([tmp_path / "toy"], name, tmp_path / "chunk" / "index.json", FACTS, GATE)
    assert document["items"][0]["status"] == "done"
    assert read_sample(tmp_path / "chunk" / "toy").facts.source == "object"


def test_two_folders_of_one_name_are_refused_instead_of_one_never_read(ring, tmp_path):
    for place in ("a", "b"):
        WRITERS["openlrm"](tmp_path / place / "toy", ring)
    folders = [tmp_path / "a/toy", tmp_path / "b/toy"]
    with pytest.raises(DataError, match="two folders of this import are called 'toy'"):
        import_folders(folders, "openlrm", tmp_path / "chunk/index.json", FACTS, GATE)


def test_an_import_into_a_folder_of_the_users_keeps_it(ring, tmp_path):
    WRITERS["openlrm"](tmp_path / "toy", ring)
    (tmp_path / "mydata").mkdir()
    (tmp_path / "mydata/thesis.txt").write_text("mine")
    with pytest.raises(DataError, match="thesis.txt"):
        import_folders([tmp_path / "toy"], "openlrm", tmp_path / "mydata/index.json", FACTS, GATE)
    assert (tmp_path / "mydata/thesis.txt").read_text() == "mine"


def test_the_id_of_a_chunks_sample_is_its_name(ring, tmp_path):
    WRITERS["colmap"](tmp_path / "toy", ring)
    import_folders([tmp_path / "toy"], "colmap", tmp_path / "chunk" / "index.json", FACTS, GATE)
    assert json.loads((tmp_path / "chunk" / "toy" / "opencv_cameras.json").read_text())["id"] == "toy"


def test_a_wrong_pose_convention_is_refused_at_import(ring, tmp_path):
    WRITERS["openlrm"](tmp_path / "toy", ring)
    for path in (tmp_path / "toy" / "pose").glob("*.npy"):
        c2w = np.vstack([np.load(path), [0, 0, 0, 1]])
        np.save(path, np.linalg.inv(c2w)[:3])
    with pytest.raises(DataError, match="refuses every folder"):
        import_folders([tmp_path / "toy"], "openlrm", tmp_path / "chunk" / "index.json", FACTS, GATE)


def test_formats_refuse_what_they_cannot_hold(ring, tmp_path):
    from dataclasses import replace

    from mousefacelift.core.samples import Sample

    camera = replace(ring.views[0].camera, fxfycxcy=ring.views[0].camera.fxfycxcy + [0, 0, 3, 0])
    shifted = Sample((replace(ring.views[0], camera=camera), *ring.views[1:]), ring.facts)
    for name, message in (
        ("gobjaverse", "principal point"),
        ("zero123", "principal point"),
        ("openlrm", "one set of intrinsics"),
    ):
        with pytest.raises(DataError, match=message):
            WRITERS[name](tmp_path / name, shifted)
    WRITERS["nerfstudio"](tmp_path / "n", ring)
    document = json.loads((tmp_path / "n" / "transforms.json").read_text())
    (tmp_path / "n" / "transforms.json").write_text(json.dumps(document | {"k1": 0.1}))
    with pytest.raises(DataError, match="distortion"):
        READERS["nerfstudio"](tmp_path / "n", FACTS)
    WRITERS["colmap"](tmp_path / "c", ring)
    cameras = tmp_path / "c" / "sparse" / "0" / "cameras.txt"
    cameras.write_text(re.sub(r"PINHOLE(.*)", r"OPENCV\1 0.1 0 0 0", cameras.read_text()))
    with pytest.raises(DataError, match="distortion"):
        READERS["colmap"](tmp_path / "c", FACTS)
    with pytest.raises(DataError, match="no cameras"):
        READERS["zero123"](tmp_path / "c", FACTS)


def test_facelift_lists_name_accepted_samples_and_guard_the_held_out_camera(manifest, tmp_path):
    counts = facelift.write_lists(manifest, tmp_path, ("object",))
    assert sum(counts.values()) == 8
    listed = facelift.read_list(tmp_path / "train.txt")
    assert len(listed) == counts["train"] and all(len(read_sample(folder).views) == 8 for folder in listed)
    with pytest.raises(DataError, match="held-out camera"):
        facelift.write_lists(manifest, tmp_path)
    (tmp_path / "bad.txt").write_text("nowhere\n")
    with pytest.raises(DataError, match="not there"):
        facelift.read_list(tmp_path / "bad.txt")


def test_facelift_lists_leave_out_short_samples_and_honour_the_limit(manifest, tmp_path):
    assert sum(facelift.write_lists(manifest, tmp_path, ("object",), limit=3).values()) == 3
    with pytest.raises(DataError, match="enough views"):
        facelift.write_lists(manifest, tmp_path, ("object",), least_views=9)


def test_long_lrm_scenes_have_a_name_rgb_pictures_and_a_list(manifest, tmp_path):
    counts = export_samples(manifest, "long_lrm", tmp_path, ("object",), limit=2)
    lines = [line for split in counts for line in (tmp_path / f"{split}.txt").read_text().splitlines()]
    assert len(lines) == 2
    scene = tmp_path / lines[0]
    document = json.loads(scene.read_text())
    assert document["scene_name"] == scene.parent.name and len(document["frames"]) == 8
    for frame in document["frames"]:
        assert {"w", "h", "fx", "fy", "cx", "cy", "w2c"} <= set(frame)
        assert Image.open(scene.parent / frame["file_path"]).mode == "RGB"


def test_beast3d_splits_are_datasets_of_its_loader(manifest, tmp_path):
    """Its loader (paninski-lab/beast at a163d7d) wants info.json, selected_frames.csv, and 4x4 extrinsics as arrays."""
    counts = export_samples(manifest, "beast3d", tmp_path, ("object",), limit=2)
    seen = 0
    for split in counts:
        views = sorted(json.loads((tmp_path / split / "info.json").read_text())["available_views"])
        assert len(views) == 8
        for listed in (tmp_path / split).rglob("selected_frames.csv"):
            for frame in listed.read_text().splitlines():
                for view in views:
                    picture = listed.parent / view / frame
                    camera = np.load(picture.with_suffix(".npy"), allow_pickle=True).item()
                    assert camera["extrinsics"].shape == (4, 4) and camera["intrinsics"].shape == (3, 3)
                    assert Image.open(picture).size == (camera["width"], camera["height"])
                    assert Image.open(picture.with_name(frame.replace("img", "mask", 1))).mode == "L"
                    seen += 1
    assert seen == 16


def test_masks_of_a_nerfstudio_scene_become_alpha(ring, shared, tmp_path):
    folder = shared / "fixtures/real_files/b_nerfstudio_mask_path"
    for kind in ("masks", "rgba_masks"):
        sample = READERS["nerfstudio"](folder / kind, FACTS)
        for view, frame in zip(sample.views, json.loads((folder / kind / "transforms.json").read_text())["frames"]):
            mask = np.asarray(Image.open(folder / kind / frame["mask_path"]).convert("L")) > 127
            np.testing.assert_array_equal(view.rgba[..., 3] > 0.5, mask)
    document = json.loads((folder / "masks/transforms.json").read_text())
    shutil.copytree(folder / "masks", tmp_path / "s", copy_function=shutil.copyfile)
    for frame in document["frames"]:
        angle = 2 * np.arctan(frame["w"] / 2 / frame.pop("fl_x"))
        frame.pop("fl_y")
        frame["camera_angle_x"] = angle
    (tmp_path / "s/transforms.json").write_text(json.dumps(document))
    again = READERS["nerfstudio"](tmp_path / "s", FACTS)
    np.testing.assert_allclose(again.views[0].camera.fxfycxcy[:2], 178.42297578639528, rtol=1e-9)


def test_a_colmap_export_carries_points_on_the_animal_and_reads_as_binary_and_with_spaces(ring, tmp_path):
    WRITERS["colmap"](tmp_path / "c", ring)
    model = tmp_path / "c/sparse/0"
    rows = [row.split() for row in (model / "points3D.txt").read_text().splitlines() if not row.startswith("#")]
    points = np.array([[float(v) for v in row[1:4]] for row in rows])
    assert len(points) > 100 and np.linalg.norm(points, axis=1).max() < 1.2
    (tmp_path / "c/images/00003.png").rename(tmp_path / "c/images/view 3.png")
    text = (model / "images.txt").read_text().replace("00003.png", "view 3.png")
    (model / "images.txt").write_text(text)
    assert len(READERS["colmap"](tmp_path / "c", FACTS).views) == 8


def test_published_sample_is_imported(shared, tmp_path):
    folder = shared / "fixtures" / "facelift" / "gslrm_loader"
    sample = facelift.read(facelift.read_list(folder / "list.txt")[0], FACTS)
    assert len(sample.views) == 5 and sample.facts.source == "object"


def test_an_export_of_nothing_and_a_misspelt_source_are_refused(manifest, tmp_path, capsys):
    for name in ("nerfstudio", "facelift"):
        with pytest.raises(DataError, match="no accepted sample of source scan"):
            export_samples(manifest, name, tmp_path, ("scan",))
    with pytest.raises(SystemExit):
        main(["dataset", "export", str(manifest.folder), "--format", "colmap", "--source", "rael", "--out", "x"])
    assert "invalid choice: 'rael'" in capsys.readouterr().err


def test_exports_leave_out_the_held_out_camera(manifest, tmp_path):
    counts = export_samples(manifest, "nerfstudio", tmp_path, ("real",), limit=2)
    assert sum(counts.values()) == 2
    documents = [json.loads(path.read_text()) for path in tmp_path.glob("*/*/transforms.json")]
    assert all(
        len(d["frames"]) == 5 and all(f["mousefacelift_meta"]["camera"] != 5 for f in d["frames"]) for d in documents
    )


def test_packing_without_its_package_says_how_to_install_it(manifest, monkeypatch):
    monkeypatch.setitem(sys.modules, "webdataset", None)
    with pytest.raises(ConfigError, match=r"(?s)webdataset.*mousefacelift\[shards\]"):
        write_shards(manifest, ("train",))


def test_webdataset_reads_every_sample_of_the_shards_byte_for_byte(manifest):
    shards = write_shards(manifest, ("train",), max_bytes=60_000)
    assert len(shards) > 1 and not list(shards[0].parent.glob(".*.tmp"))
    records = webdataset.WebDataset([str(path) for path in shards], shardshuffle=False, empty_check=False)
    found = {int(record["__key__"]): record for record in records}
    assert sorted(found) == np.flatnonzero((manifest.samples["split"] == "train").to_numpy()).tolist()
    for row, record in found.items():
        folder = manifest.folder_of(row)
        assert record["cameras.json"] == (folder / CAMERAS_FILE).read_bytes()
        for index, frame in enumerate(json.loads(record["cameras.json"])["frames"]):
            assert record[f"cam_{index:03d}.png"] == (folder / frame["file_path"]).read_bytes()


def test_packing_again_leaves_no_older_shards(manifest):
    write_shards(manifest, ("train", "val"), max_bytes=60_000)
    (manifest.folder / "shards" / "0123abcd-000000.tar").write_bytes(b"")
    (manifest.folder / "shards" / "backup.tar").write_bytes(b"mine")
    shards = write_shards(manifest, ("train",))
    assert sorted(shards[0].parent.glob("*-*.tar")) == shards and len(shards) == 1
    assert (manifest.folder / "shards" / "backup.tar").read_bytes() == b"mine"
    with pytest.raises(DataError, match="splits none have no accepted sample"):
        write_shards(manifest, ("none",))


def test_commands_export_import_and_pack(manifest, tmp_path, capsys):
    run = partial(main)
    assert (
        run(
            [
                "dataset",
                "export",
                str(manifest.folder),
                "--format",
                "colmap",
                "--out",
                str(tmp_path / "c"),
                "--source",
                "object",
            ]
        )
        == 0
    )
    folders = sorted(str(path) for path in (tmp_path / "c").glob("*/*"))
    config = json.dumps({"dataset": {"gate": {"mask_size": 32}}})
    assert (
        run(
            [
                "dataset",
                "import",
                *folders,
                "--format",
                "colmap",
                "--out",
                str(tmp_path / "chunk" / "index.json"),
                "--source",
                "object",
                "--licence",
                "CC0-1.0",
                "--config-json",
                config,
            ]
        )
        == 0
    )
    assert run(["dataset", "pack", str(manifest.folder)]) == 0
    assert "8 imported, 0 refused" in capsys.readouterr().out
