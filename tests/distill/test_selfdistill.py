"""Gate, 6x6 self-distillation and the commands on a toy rig with known truth."""

import json

import numpy as np
import pytest

from mousefacelift.cli import main
from mousefacelift.core.cameras import azimuth_elevation, canonical_fxfycxcy, orbit
from mousefacelift.core.records import SampleFacts, ViewFacts
from mousefacelift.core.samples import View, read_sample
from mousefacelift.distill.config import DistillConfig, GateConfig
from mousefacelift.distill.gate import FrameJudge, agreeing_frames, learn_thresholds, refusal
from mousefacelift.distill.generators.protocol import change_camera, matte, require_files, view_seed
from mousefacelift.distill.make_views import check_views
from mousefacelift.distill.painting import FramesAhead
from mousefacelift.distill.photos import FrameItem, Splits, list_frames, usable_views
from mousefacelift.distill.selfdistill import Distiller, distill_chunk
from mousefacelift.distill.view_sets import VIEW_SETS, wanted_views
from mousefacelift.errors import ConfigError, DataError, MissingWeights
from tests.distill.conftest import toy_photos, toy_view

GATE = GateConfig(voxels=48, quantile=0.0)
CONFIG = DistillConfig(gate=GATE)


class TruthGenerator:
    """Paints the truth of the toy animal; output 1 comes from another heading, output 2 is blank."""

    name, licence, weights, resolution = "truth", "test", {}, 64
    view_set = VIEW_SETS["sixty_between"]

    def __init__(self):
        self.calls = 0

    def generate(self, inputs, seeds):
        self.calls += len(inputs)
        return [
            [
                self._paint(view, output, camera, seed)
                for output, camera in enumerate(self.view_set.cameras(view.camera, 64))
            ]
            for view, seed in zip(inputs, seeds, strict=True)
        ]

    def _paint(self, view, output, camera, seed):
        heading = view.facts.details.get("heading", HEADING) + (90 if output == 1 else 0)
        made = toy_view(camera, heading, ViewFacts(seed=seed))
        return View(made.rgba * 0, camera, made.facts) if output == 2 else made


HEADING = 0.0


@pytest.fixture(scope="module")
def thresholds():
    return learn_thresholds([toy_photos(heading) for heading in (0.0, 50.0, 100.0)], GATE)


def test_a_frame_whose_photos_contradict_each_other_does_not_loosen_the_gate(thresholds):
    good = [toy_photos(heading) for heading in (0.0, 50.0, 100.0)]
    torn = toy_photos(200.0)
    torn[2] = toy_photos(260.0)[2]  # one camera shows another moment
    learnt = learn_thresholds([*good, torn], GATE)
    assert learnt.values == thresholds.values and learnt.facts["frames_left_out"] == 1


def test_agreeing_frames_are_all_but_gross_outliers():
    worst = np.array([[0.95, 0.9], [0.96, 0.88], [0.93, 0.91], [0.97, 0.86], [0.75, 0.9], [0.95, 0.3]])
    assert agreeing_frames(worst).tolist() == [True, True, True, True, False, False]
    assert agreeing_frames(np.array([[0.9], [0.9], [0.89]])).all()


def test_true_views_pass_and_other_headings_do_not(thresholds):
    judge = FrameJudge(toy_photos(20.0), GATE)
    for azimuth in (0, 65, 130, 230):
        camera = orbit(azimuth, 15, 2.7, canonical_fxfycxcy(64), 64, 64)
        assert refusal(judge.scores(toy_view(camera, 20.0)), thresholds, GATE) == []
        assert refusal(judge.scores(toy_view(camera, 60.0)), thresholds, GATE)


def test_blank_and_saturated_views_are_refused(thresholds):
    judge = FrameJudge(toy_photos(20.0), GATE)
    camera = orbit(0, 15, 2.7, canonical_fxfycxcy(64), 64, 64)
    blank = View(np.zeros((64, 64, 4), np.float32), camera)
    assert any("coverage" in reason for reason in refusal(judge.scores(blank), thresholds, GATE))
    view = toy_view(camera, 20.0)
    burnt = View(np.where(view.rgba[..., 3:] > 0, np.ones_like(view.rgba), 0).astype(np.float32), camera)
    assert any("saturation" in reason for reason in refusal(judge.scores(burnt), thresholds, GATE))


def test_a_rig_with_one_camera_is_refused():
    from mousefacelift.core.samples import Sample

    with pytest.raises(DataError, match="two cameras"):
        usable_views(Sample((toy_photos(0.0)[0],), SampleFacts("real")), None)
    with pytest.raises(DataError, match="two cameras"):
        FrameJudge(toy_photos(0.0)[:1], GATE)


def test_one_frame_gives_one_true_view_per_angle_and_every_loser_is_recorded(thresholds, tmp_path):
    photos = toy_photos(HEADING)
    distiller = Distiller(TruthGenerator(), thresholds, CONFIG, 0, None)
    candidates = distiller.candidates(FrameItem("toy", 0, tmp_path), photos, tmp_path / "cache")
    distiller.judge(candidates, photos)
    assert len(candidates) == 36 and {c.row["status"] for c in candidates} >= {"accepted", "refused", "duplicate"}
    accepted = [c for c in candidates if c.row["status"] == "accepted"]
    assert len({c.row["cluster"] for c in accepted}) == len(accepted)
    assert all(c.row["output"] not in (1, 2) for c in accepted)
    assert all(c.row["reason"] for c in candidates if c.row["status"] != "accepted")
    calls = distiller.generator.calls
    distiller.candidates(FrameItem("toy", 0, tmp_path), photos, tmp_path / "cache")
    assert distiller.generator.calls == calls  # kept view by view
    (tmp_path / "cache/03.npz").unlink()
    distiller.candidates(FrameItem("toy", 0, tmp_path), photos, tmp_path / "cache")
    assert distiller.generator.calls == calls + 1


def test_a_generator_that_wants_several_photos_at_once_is_given_the_same_ones_again(thresholds, tmp_path):
    """After a kill too: what it paints may depend, by rounding, on the photos beside."""

    class Four(TruthGenerator):
        photos_at_once, sizes = 4, []

        def generate(self, inputs, seeds):
            self.sizes.append(len(inputs))
            return super().generate(inputs, seeds)

    distiller = Distiller(Four(), thresholds, CONFIG, 0, None)
    for _ in range(2):
        distiller.candidates(FrameItem("toy", 0, tmp_path), toy_photos(HEADING), tmp_path / "cache")
    assert Four.sizes == [4, 2]
    (tmp_path / "cache/03.npz").unlink()
    distiller.candidates(FrameItem("toy", 0, tmp_path), toy_photos(HEADING), tmp_path / "cache")
    assert Four.sizes == [4, 2, 4]


def test_frames_that_fit_into_a_call_share_it_and_a_killed_chunk_makes_the_same_call_again(
    toy_chunk, thresholds, tmp_path
):
    class Twelve(TruthGenerator):
        photos_at_once, seen = 12, []

        def generate(self, inputs, seeds):
            self.seen.append(list(seeds))
            return super().generate(inputs, seeds)

    items = list_frames([toy_chunk / "chunk/index.json"])[:3]
    distiller = Distiller(Twelve(), thresholds, CONFIG, 0, 5)
    ahead = FramesAhead(distiller.painter(), items, tmp_path, 5)
    photos = [usable_views(read_sample(item.folder), 5) for item in items]
    for item, views in zip(items, photos, strict=True):
        ahead.paint(item, views)
    assert [len(seeds) for seeds in Twelve.seen] == [10, 5]
    alone = Distiller(TruthGenerator(), thresholds, CONFIG, 0, 5).candidates(items[1], photos[1], tmp_path / "alone")
    together = distiller.candidates(items[1], photos[1], ahead.folder(items[1]))
    assert len(Twelve.seen) == 2, "what was painted ahead is not painted again"
    for one, two in zip(alone, together, strict=True):
        np.testing.assert_array_equal(one.view.rgba, two.view.rgba)
        assert one.row == two.row
    (ahead.folder(items[1]) / "02.npz").unlink()
    FramesAhead(distiller.painter(), items, tmp_path, 5).paint(items[1], photos[1])
    assert Twelve.seen[2] == Twelve.seen[0]


def test_the_photo_wins_where_a_camera_stands(thresholds, tmp_path):
    photos = toy_photos(HEADING)

    class AtThePhotos(TruthGenerator):
        view_set = wanted_views("custom", (0.0, 180.0), None)

    distiller = Distiller(AtThePhotos(), thresholds, CONFIG, 0, None)
    candidates = distiller.candidates(FrameItem("toy", 0, tmp_path), photos, tmp_path / "cache")
    distiller.judge(candidates, photos)
    assert all(c.row["status"] == "photo" for c in candidates if c.row["output"] == 0)


def test_a_chunk_is_written_with_true_cameras_and_provenance(toy_chunk, thresholds, tmp_path):
    chunk = tmp_path / "one"
    source = json.loads((toy_chunk / "chunk/index.json").read_text())
    source["items"] = source["items"][:1]
    (toy_chunk / "chunk/one.json").write_text(json.dumps(source))
    distiller = Distiller(TruthGenerator(), thresholds, CONFIG, 0, 5)
    document = distill_chunk(toy_chunk / "chunk/one.json", chunk / "index.json", distiller)
    row = document["items"][0]
    sample = read_sample(chunk / row["name"])
    assert sample.facts.source == "distilled" and len(sample.views) == row["views"] == row["accepted"] > 0
    for view in sample.views:
        truth = toy_view(view.camera, HEADING)
        assert ((view.rgba[..., 3] > 0.5) == (truth.rgba[..., 3] > 0.5)).mean() > 0.99
        assert view.facts.details["input"] != 5 and view.facts.details["scores"]["inside_share"] > 0.8
        assert view.facts.parents and 0 < view.facts.score <= 1
    record = json.loads((chunk / "candidates.json").read_text())
    assert record["summary"]["candidates"] == 30 and sum(record["summary"]["status"].values()) == 30
    assert not list(tmp_path.glob(".one.*"))


POSE = {
    "kind": "pose",
    "network": {"size": 16, "width": 32, "blocks": 1, "encoder_blocks": 1},
    "training": {"steps": 4, "batch": 2, "validation_frames": 1},
}
PRIOR = {
    "kind": "prior",
    "prior": {"fit_steps": 2, "fit_size": 24, "renders": 1, "replay": 2, "steps": 1, "batch": 4, "max_frames": 1}
    | {"view_steps": 1},
    "training": {"validation_frames": 1},
}


@pytest.mark.parametrize(
    "generator, files",
    [(POSE, {"validation.png", "losses.csv"}), (PRIOR, {"adapted.safetensors"})],
    ids=["pose", "prior"],
)
def test_commands_train_and_distil_from_files(toy_chunk, tmp_path, capsys, generator, files):
    config = {"distill": {"generator": generator, "gate": {"voxels": 32, "frames": 2}}}
    text = json.dumps(config)
    photos = ["--frames", str(toy_chunk / "chunk/index.json"), "--splits", str(toy_chunk / "splits.json")]
    made, gate = str(tmp_path / "gen"), str(tmp_path / "gate.json")
    assert main(["distill", "train", *photos, "--out", made, "--config-json", text]) == 0
    assert "foreground PSNR" in capsys.readouterr().out
    assert {p.name for p in (tmp_path / "gen").iterdir()} >= {"generator.json"} | files
    assert main(["distill", "gate", *photos, "--out", gate, "--config-json", text]) == 0
    assert "inside_share" in capsys.readouterr().out
    source = json.loads((toy_chunk / "chunk/index.json").read_text())
    source["items"] = source["items"][:2]
    (toy_chunk / "chunk/two.json").write_text(json.dumps(source))
    words = ["--frames", str(toy_chunk / "chunk/two.json"), "--generator", made, "--gate", gate]
    assert main(["distill", "views", *words, "--out", str(tmp_path / "out/two/index.json"), "--config-json", text]) == 0
    document = json.loads((tmp_path / "out/two/index.json").read_text())
    assert [row["candidates"] for row in document["items"]] == [30, 30]
    assert document["header"]["weights"] and document["header"]["view_set"]["source"]


@pytest.mark.parametrize("name", ["sixty", "sixty_between"])
def test_views_of_a_rig_with_long_lenses_show_the_animal_as_large_as_its_photos_do(name):
    """A real rig stands 1.5 m off: capture enlarges its world, and its cameras are 25 units from the animal."""
    zoom = 9.3
    for distance, factor in ((2.7, 1.0), (24.9, zoom)):
        intrinsics = canonical_fxfycxcy(64) * [factor, factor, 1, 1]
        source = orbit(30.0, 20.0, distance, intrinsics, 64, 64)
        photo = source.fxfycxcy[0] / np.linalg.norm(source.center)
        for camera in VIEW_SETS[name].cameras(source, 64):
            assert camera.fxfycxcy[0] / np.linalg.norm(camera.center) == pytest.approx(photo, rel=0.01)


def test_view_sets_give_absolute_cameras_from_the_input():
    source = orbit(100, 20, 2.5, canonical_fxfycxcy(64), 64, 64)
    published = [azimuth_elevation(c) for c in VIEW_SETS["facelift"].cameras(source, 64)]
    np.testing.assert_allclose([p[0] for p in published], [100, 55, 10, 280, 190, 145], atol=1e-9)
    np.testing.assert_allclose([p[1:] for p in published], [[0, 2.7]] * 6, atol=1e-9)
    ring = [azimuth_elevation(c) for c in VIEW_SETS["sixty"].cameras(source, 64)]
    np.testing.assert_allclose([p[1] for p in ring], 20, atol=1e-9)
    with pytest.raises(ConfigError, match="not declared"):
        wanted_views("eighty", (), None)


def test_the_command_refuses_a_tolerance_that_merges_views_of_one_call():
    check_views(VIEW_SETS["sixty_between"], 10.0)
    with pytest.raises(ConfigError, match="spacing of 60.0"):
        check_views(VIEW_SETS["sixty_between"], 60.0)


def test_seeds_belong_to_the_view_and_to_nothing_else():
    seeds = {view_seed(0, r, f, v) for r in ("a", "b") for f in range(3) for v in range(3)}
    assert len(seeds) == 18 and view_seed(0, "a", 1, 2) == view_seed(0, "a", 1, 2)


def test_a_matte_finds_what_was_painted_on_white():
    view = toy_photos(0.0)[0]
    rgb = view.rgba[..., :3] * view.rgba[..., 3:] + (1 - view.rgba[..., 3:])
    again = matte(rgb, 1.0)
    assert ((again[..., 3] > 0.5) == (view.rgba[..., 3] > 0.5)).mean() > 0.995


def test_changing_intrinsics_and_back_keeps_the_picture():
    view = toy_photos(30.0)[0]
    wide = view.camera.scaled_to(128, 128)
    back = change_camera(change_camera(view.rgba, view.camera, wide), wide, view.camera)
    assert np.abs(back[..., 3] - view.rgba[..., 3]).mean() < 0.02


def test_missing_weights_name_folder_files_and_remedy(tmp_path):
    with pytest.raises(MissingWeights, match="gate.json") as caught:
        require_files(tmp_path, ("gate.json",), "the gate", "train it")
    assert "train it" in str(caught.value) and str(tmp_path) in str(caught.value)


def test_splits_that_are_not_splits_are_refused(tmp_path):
    (tmp_path / "s.json").write_text("[]")
    with pytest.raises(DataError, match="splits"):
        Splits.read(tmp_path / "s.json")
