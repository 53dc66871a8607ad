"""The doors between the stages: what is misspelt, missing or out of range is an error where it is written."""

import json
from dataclasses import replace

import numpy as np
import pytest

from mousefacelift.core.cameras import ring
from mousefacelift.core.provenance import code_version
from mousefacelift.core.records import ItemRow, SampleFacts, ViewFacts, check_writable
from mousefacelift.core.samples import Sample, View, read_document, read_sample, seen_views, write_sample
from mousefacelift.core.splits import Splits
from mousefacelift.errors import DataError

REAL = SampleFacts("real", "m1", frame=3, config_hash="c")
FACTS = SampleFacts(
    "splat", "m1", frame=3, time_s=0.3, parents=("a", "b"), seed=7, licence="CC0-1.0", config_hash="c", details={"x": 1}
)
VIEW = ViewFacts(camera=2, camera_name="left", kind="gap", parents=("a",), offset=-30.0, score=0.4, seed=7)


@pytest.mark.parametrize("record", [FACTS, VIEW, SampleFacts(), ViewFacts()])
def test_a_record_survives_json(record):
    assert type(record).from_json(json.loads(json.dumps(record.to_json())), "here") == record


def test_a_misspelt_field_is_an_error_at_the_writer_and_at_the_reader():
    with pytest.raises(TypeError, match="scroe"):
        ViewFacts(scroe=0.5)
    with pytest.raises(DataError, match="view 3 has fields that are not known.*\n.*consensus"):
        ViewFacts.from_json({"consensus": 0.5}, "view 3")
    with pytest.raises(DataError, match="details hold a field"):
        ViewFacts(details={"score": 0.5})
    with pytest.raises(TypeError, match="dict, not ViewFacts"):
        View(np.zeros((8, 8, 4), np.float32), ring(2, 8)[0], {"camera": 0})
    with pytest.raises(TypeError, match="dict, not SampleFacts"):
        Sample((), {"source": "real"})


@pytest.mark.parametrize(
    "make, name",
    [
        (lambda: ViewFacts(score=1.92), "score"),
        (lambda: ViewFacts(score=float("nan")), "score"),
        (lambda: ViewFacts(offset=200.0), "offset"),
        (lambda: ViewFacts(weight=-1.0), "weight"),
        (lambda: ViewFacts(camera=-1), "camera"),
        (lambda: ViewFacts(camera=True), "camera"),
        (lambda: ViewFacts(source="fake"), "source"),
        (lambda: ViewFacts(parents=("",)), "parents"),
        (lambda: SampleFacts("splats"), "source"),
        (lambda: SampleFacts("real", frame=-1), "frame"),
        (lambda: SampleFacts("real", time_s=float("inf")), "time_s"),
        (lambda: SampleFacts("real", seed=0.5), "seed"),
        (lambda: ItemRow(-1), "views"),
        (lambda: ItemRow(2, hashes=("a",)), "hashes"),
        (lambda: ItemRow(1, status="ok"), "status"),
    ],
)
def test_a_value_out_of_range_is_refused_by_name(make, name):
    with pytest.raises(DataError, match=f"'{name}' is out of range"):
        make()


@pytest.mark.parametrize(
    "facts, view, missing",
    [
        (replace(FACTS, source=""), VIEW, "source"),
        (replace(FACTS, recording=""), VIEW, "recording or asset"),
        (replace(FACTS, config_hash=""), VIEW, "config_hash"),
        (FACTS, replace(VIEW, score=None), "score of every view"),
        (REAL, ViewFacts(), "number of every view's camera"),
    ],
)
def test_what_readers_need_is_asked_of_the_writer(facts, view, missing):
    check_writable(FACTS, [VIEW], "s")
    check_writable(REAL, [ViewFacts(0), ViewFacts(1)], "s")
    with pytest.raises(DataError, match=f"cannot be written\n.*without .*{missing}"):
        check_writable(facts, [view], "s")
    with pytest.raises(DataError, match="a camera twice"):
        check_writable(REAL, [ViewFacts(1), ViewFacts(1)], "s")


def test_a_samples_code_is_that_of_the_stage_that_wrote_it(tmp_path):
    views = tuple(View(np.zeros((8, 8, 4), np.float32), camera, ViewFacts(i)) for i, camera in enumerate(ring(2, 8)))
    for writer in ("mousefacelift.splats.novel", "mousefacelift.objects.make"):
        stage = {"__name__": writer, "write_sample": write_sample}
        exec("def make(folder, sample): write_sample(folder, sample)", stage)
        stage["make"](tmp_path / writer, Sample(views, REAL))
        assert read_sample(tmp_path / writer).facts.code == code_version((writer,))
    assert code_version(("mousefacelift.splats.novel",)) != code_version(("mousefacelift.objects.make",))


def test_a_sample_says_by_which_code_and_tools_it_was_written(tmp_path):
    views = tuple(View(np.zeros((8, 8, 4), np.float32), camera, ViewFacts(i)) for i, camera in enumerate(ring(2, 8)))
    write_sample(tmp_path / "s", Sample(views, REAL))
    facts = read_sample(tmp_path / "s").facts
    assert len(facts.code) == 12 and facts.versions["numpy"] == np.__version__ and facts.config_hash == "c"
    (tmp_path / "item").mkdir()
    (tmp_path / "item" / "notes.json").write_text("{}")
    write_sample(tmp_path / "item", Sample(views, REAL), into=True)
    assert read_document(tmp_path / "item")["frames"] == read_document(tmp_path / "s")["frames"]
    assert (tmp_path / "item" / "notes.json").read_text() == "{}"


def test_rows_of_an_index_say_whether_there_is_a_sample():
    row = ItemRow(2, 3, hashes=("a", "b"), details={"quality": [1, 2]})
    assert ItemRow.from_row({"name": "000003"} | row.to_row(), "index") == row and row.has_sample
    assert not ItemRow(0, 3).has_sample and not ItemRow(0, status="refused", reason="no").has_sample
    with pytest.raises(DataError, match="how many views"):
        ItemRow.from_row({"name": "000003", "frame": 3}, "index")


def test_derived_facts_keep_the_moment_and_nothing_else():
    photo = replace(REAL, time_s=0.3, licence="CC0-1.0", details={"segment": 1, "mode": "exact"}, code="x", weight=2.0)
    made = photo.derive("distilled", seed=4, licence="own")
    assert made == SampleFacts("distilled", "m1", frame=3, time_s=0.3, licence="own", seed=4, details={"segment": 1})


def test_only_what_a_camera_filmed_has_a_rig_camera():
    assert ViewFacts(3).rig_camera == 3
    with pytest.raises(DataError, match="says no camera"):
        ViewFacts(generator="pose", score=0.5).rig_camera  # noqa: B018


def test_a_camera_is_meant_by_number_or_name_and_never_by_place():
    views = [ViewFacts(5, "cam_f"), ViewFacts(2, "cam_c"), ViewFacts(0, "cam_a")]
    assert seen_views(views, 5, "s") == [1, 2] and seen_views(views, "cam_c", "s") == [0, 2]
    assert seen_views(views, None, "s") == [0, 1, 2] and seen_views(views, 7, "s") == [0, 1, 2]
    with pytest.raises(DataError, match="which camera took it"):
        seen_views([ViewFacts()], 0, "s")


def test_splits_survive_the_disk_and_refuse_what_is_not_theirs(tmp_path):
    facts = {"m1": {"fps": 10.0, "guard_s": 0.1, "correlation_time_s": 0.1}}
    splits = Splits({"m1": {0: "train", 1: "guard", 2: "val"}}, "cam_f", facts=facts)
    splits.write(tmp_path / "splits.json")
    assert Splits.read(tmp_path / "splits.json") == splits
    assert splits.of("m1", 2) == "val" and splits.of("m1", 9) == splits.of("m2", 0) == "none"
    (tmp_path / "other.json").write_text(json.dumps({"version": 1, "recordings": {}}))
    with pytest.raises(DataError, match="other.json"):
        Splits.read(tmp_path / "other.json")
    with pytest.raises(DataError, match="unknown splits"):
        replace(splits, recordings={"m1": {0: "training"}})
