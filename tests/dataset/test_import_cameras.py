"""A camera is its number or name, wherever a file puts it: an imported sample whose views are in another order."""

import json
from dataclasses import replace

import pytest

from mousefacelift.core.records import SampleFacts
from mousefacelift.core.samples import read_document, read_sample, write_sample
from mousefacelift.dataset.build import build_dataset
from mousefacelift.dataset.config import DatasetConfig, GateConfig
from mousefacelift.dataset.exchange import import_folders
from mousefacelift.dataset.manifest import Manifest
from mousefacelift.distill.photos import list_frames, usable_views
from mousefacelift.errors import DataError
from mousefacelift.splats.chunk import fit_chunk, read_fit
from mousefacelift.splats.config import FitConfig, HullConfig, OptimiseConfig
from tests.dataset.conftest import rig_cameras, toy_sample

ORDER = (5, 2, 0, 1, 4, 3)
FACTS = SampleFacts("real", "m1", licence="CC0-1.0")
GATE = GateConfig(mask_size=32)


def foreign_folder(folder, name="cam{}.png"):
    """A FaceLift folder as others write it: no facts, images named after the cameras, in another order."""
    sample = toy_sample(rig_cameras(32))
    write_sample(folder, replace(sample, views=tuple(sample.views[camera] for camera in ORDER)))
    document = read_document(folder)
    for camera, frame in zip(ORDER, document["frames"]):
        file = "images/" + name.format(camera)
        (folder / frame["file_path"]).rename(folder / file)
        frame["file_path"] = file
        del frame["meta"], frame["hash"]
    (folder / "opencv_cameras.json").write_text(json.dumps({"id": "theirs", "frames": document["frames"]}))
    return folder


@pytest.fixture(scope="module")
def imported(tmp_path_factory):
    root = tmp_path_factory.mktemp("imported")
    import_folders([foreign_folder(root / "theirs")], "facelift", root / "chunk/index.json", FACTS, GATE)
    return root / "chunk/index.json"


def test_cameras_are_numbered_by_their_names(imported):
    sample = read_sample(imported.parent / "theirs")
    assert [view.facts.camera for view in sample.views] == list(ORDER)
    assert sample.views[0].facts.camera_name == "cam5" and sample.facts.config_hash


def test_a_photo_without_a_number_in_its_name_is_refused(tmp_path):
    folder = foreign_folder(tmp_path / "theirs", "cam{}.png")
    document = read_document(folder)
    (folder / "images/cam5.png").rename(folder / "images/left.png")
    document["frames"][0]["file_path"] = "images/left.png"
    (folder / "opencv_cameras.json").write_text(json.dumps(document))
    with pytest.raises(DataError, match="does not say which camera took it\n.*'left'"):
        import_folders([folder], "facelift", tmp_path / "chunk/index.json", FACTS, GATE)


@pytest.mark.parametrize("held_out", [5, "cam5"])
def test_the_dataset_holds_out_the_camera_and_not_the_place(imported, toy_chunks, tmp_path, held_out):
    splits = replace(toy_chunks[1], held_out_camera=held_out)
    build_dataset([imported], splits, tmp_path / "dataset", DatasetConfig(gate=GATE))
    views = Manifest.open(tmp_path / "dataset").view_table(["camera", "held_out"])
    assert views["held_out"].tolist() == [camera == 5 for camera in ORDER] and views["camera"].tolist() == list(ORDER)


@pytest.mark.parametrize("held_out", [5, "cam5"])
def test_generators_and_fits_never_see_it(imported, tmp_path, held_out):
    (item,) = list_frames([imported])
    photos = usable_views(read_sample(item.folder), held_out)
    assert [photo.facts.camera for photo in photos] == list(ORDER[1:])
    quick = FitConfig(size=32, count=60, hull=HullConfig(grid=24), optimise=OptimiseConfig(steps=2))
    fit_chunk(imported, tmp_path / "fits/index.json", quick, 0, 10.0, held_out)
    record = read_fit(tmp_path / "fits/theirs")[1]
    hashes = [frame["hash"] for frame in read_document(item.folder)["frames"]]
    assert record["parents"] == hashes[1:] and len(record["cameras"]) == 5
