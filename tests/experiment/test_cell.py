"""A cell from its start to its row in the tables, at a size that takes seconds."""

import json
from dataclasses import asdict, replace

import numpy as np
import pandas as pd
import pytest
import torch

from mousefacelift.errors import DataError
from mousefacelift.experiment import cell as cell_module
from mousefacelift.experiment.cell import run_cells
from mousefacelift.experiment.config import Cell
from mousefacelift.experiment.figures import plot_collapse, plot_levels
from mousefacelift.experiment.film import HELD_OUT
from mousefacelift.experiment.judge import judged_set
from mousefacelift.experiment.pools import cell_arm, cell_pools, cell_steps
from mousefacelift.experiment.tables import COLLAPSES, JUDGED, RUNGS, levels_table, pairs_table, trips, write_tables

from .conftest import CONFIG

BASE = Cell("small_plain", "exact", "real-only", "objects", 4, 6, 0)
CELLS = [
    BASE,
    replace(BASE, cameras="mirrored"),
    replace(BASE, constraint="small", cameras="px50", data="80-20"),
    replace(BASE, constraint="small_plain_bounded", data="distortion-only", inputs=1, frames=3, start="scratch"),
]


@pytest.fixture(scope="module")
def done(upstream, tmp_path_factory):
    """Folder of cells, and their facts."""
    folder = tmp_path_factory.mktemp("cells")
    return folder, run_cells(CELLS, upstream, CONFIG, folder)


def test_every_cell_is_watched_from_before_its_first_step_to_its_last_and_judged(done):
    folder, facts = done
    for cell, fact in zip(CELLS, facts):
        curve, photos, truth = (pd.read_csv(folder / cell.name / f"{n}.csv") for n in ("curve", "photos", "truth"))
        assert curve["step"].tolist() == [0, 2, 4] and fact["trained"]["skipped"] < 4
        assert sorted(photos["asked"].unique()) == ["exact", "mean_image", "told", "white"]
        assert len(photos) == 4 * 2 * 4 and truth["frame"].tolist() == [0, 3]
        assert (folder / cell.name / "show.png").is_file()


def test_mirrored_cameras_render_nothing_by_construction_and_the_white_out_is_named_from_the_start(done):
    folder, _ = done
    curve = pd.read_csv(folder / CELLS[1].name / "curve.csv")
    assert (curve["tripped"] == "white_out").all() and (curve["coverage"] == 0).all()
    exact = pd.read_csv(folder / CELLS[1].name / "photos.csv").query("asked == 'exact'")
    assert (exact["coverage"] > 0).any()  # the network itself, asked with true cameras, still answers


def test_a_finished_cell_is_not_run_again_and_a_changed_one_is(done, upstream, monkeypatch):
    folder, facts = done
    ran = []
    monkeypatch.setattr(cell_module, "run_cell", lambda cell, *_: ran.append(cell) or {"key": "", "name": ""})
    run_cells(CELLS, upstream, CONFIG, folder)
    assert ran == []
    run_cells(CELLS[:1], upstream, replace(CONFIG, training=replace(CONFIG.training, steps=5)), folder)
    assert ran == CELLS[:1]


def test_the_same_cell_gives_the_same_numbers(done, upstream, tmp_path):
    folder, _ = done
    run_cells(CELLS[:1], upstream, CONFIG, tmp_path)
    for name in ("curve.csv", "photos.csv", "truth.csv"):
        assert (tmp_path / CELLS[0].name / name).read_text() == (folder / CELLS[0].name / name).read_text()


def test_tables_have_a_row_per_cell_with_its_rungs(done, bed, tmp_path):
    folder, facts = done
    unfinished = replace(BASE, cameras="px2")
    write_tables([*CELLS, unfinished], folder, {0: bed}, tmp_path)
    cells, levels = pd.read_csv(tmp_path / "cells.csv"), pd.read_csv(tmp_path / "levels.csv")
    for name, plot, table in (("levels", plot_levels, levels), ("collapse", plot_collapse, "curves.csv")):
        table = pd.read_csv(tmp_path / table) if isinstance(table, str) else table
        plot(table, tmp_path / f"{name}.svg")
        text = (tmp_path / f"{name}.svg").read_text()
        assert "mirrored" in text and text.startswith("<?xml")
    assert len(cells) == len(levels) == 4 and cells["key"].tolist() == [fact["key"] for fact in facts]
    assert levels["animals"].tolist() == [1] * 4
    assert np.isfinite(cells[["C_told_fg_psnr", "C_mean_image_fg_psnr", "C_white_fg_psnr", "n_eff"]]).all().all()
    with pytest.raises(DataError, match="finished"):
        write_tables([unfinished], folder, {0: bed}, tmp_path)
    rungs = pd.read_csv(tmp_path / "rungs.csv").query("protocol == 'C' and inputs == 4").set_index(["cameras", "rung"])
    assert ("mirrored", "visual_hull") not in rungs.index
    assert rungs.loc[("exact", "visual_hull"), "iou"] > rungs.loc[("px50", "visual_hull"), "iou"] + 0.1
    assert rungs.loc[("exact", "white"), "iou"] == 0


def test_pairs_differ_in_exactly_one_factor_and_are_paired_by_animal():
    rng = np.random.default_rng(0)
    animals = rng.normal(15, 4, 5)
    gain = {"real-only": 0.0, "80-20": 0.5}
    loss = {"exact": 0.0, "px50": 5.0}
    rows = [
        asdict(replace(BASE, data=data, cameras=cameras, animal=a))
        | {name: level + gain[data] - loss[cameras] + 0.05 * rng.normal() for name in JUDGED}
        | {"n_eff": 4.0}
        for data in gain
        for cameras in loss
        for a, level in enumerate(animals)
    ]
    pairs = pairs_table(pd.DataFrame(rows)).query("metric == 'f1'")
    assert len(pairs) == 4 and set(pairs["factor"]) == {"data", "cameras"}  # two conditions differ in both
    data = pairs[pairs["factor"] == "data"]
    np.testing.assert_allclose(data["mean"].abs(), 0.5, atol=0.15)
    assert (pairs["animals"] == 5).all() and (pairs["n_eff"] == 20).all()
    assert ((pairs["low"] > 0) | (pairs["high"] < 0)).all() and (pairs["holm_p"] >= pairs["p"]).all()


def test_a_mean_image_is_called_a_mean_image_although_it_is_smeared_over_a_large_area(bed, monkeypatch):
    data = judged_set(bed, BASE, 32, np.arange(4), exact=True)
    mean = data.targets[0].mean(0, keepdim=True).expand_as(data.targets[0])
    metrics = {"coverage": 9.0, "variance_ratio": 0.0, "view_copy": -1.0, "background_darkness": 0.0}
    monkeypatch.setattr(cell_module, "validate", lambda model, data: (metrics, ("overfilled",), mean))
    watch = cell_module.Watch(data, {7}, None)
    watch.look(6, {})
    watch.look(7, {"loss": 1.0})
    assert [(row["step"], row["tripped"], row["tripped_alpha"]) for row in watch.rows] == [
        (7, "mean_image", "overfilled")
    ]
    assert watch.rows[0]["picture_coverage"] == pytest.approx(1.0, abs=0.05)


def test_a_levels_interval_is_over_animals_and_detectors_are_counted_by_animal():
    rows = [
        asdict(replace(BASE, animal=a))
        | dict.fromkeys((*JUDGED, *RUNGS), float(a))
        | {"n_eff": 2.0, "at_end": "half_mean no_skill" if a < 3 else "none"}
        | {f"first_{name}": 10.0 * (a + 1) if a < 3 else np.nan for name in COLLAPSES}
        for a in range(5)
    ]
    (row,) = levels_table(pd.DataFrame(rows)).to_dict("records")
    assert row["animals"] == 5 and row["n_eff"] == 10 and row["f1"] == 2
    assert row["f1_low"] == pytest.approx(2 - 2.776 * np.sqrt(2.5 / 5), abs=1e-3)
    assert row["ends_half_mean"] == row["ends_no_skill"] == 3 and row["ends_white_out"] == 0
    assert row["first_half_mean"] == 20


def test_first_trips_are_those_after_the_start_and_the_last_state_knows_since_when_it_lasts():
    curve = pd.DataFrame(
        {
            "step": [0, 10, 20, 30],
            "tripped": ["overfilled", None, "half_mean", "half_mean"],
            "tripped_alpha": ["overfilled"] * 3 + [None],
            "loss": [np.nan, 1, 1, 40],
        }
    )
    row = trips(curve)
    assert np.isnan(row["first_overfilled"]) and row["first_half_mean"] == 20
    assert row["at_end"] == "half_mean" and row["lasting_since"] == 20 and row["at_start"] == "overfilled"
    assert row["first_loss_jump"] == 30 and row["first_opaque_background"] == 10


def test_the_held_out_camera_is_never_drawn_and_only_photos_are_told_wrong_cameras(bed, upstream):
    cell = replace(BASE, cameras="px50", frames=3)
    pools = cell_pools(cell, bed, upstream.objects, 32)
    real = pools.sources["real"]
    assert len(real) == 3 and real.rgba.shape[1] == HELD_OUT
    assert not np.array_equal(real.fxfycxcy[0], bed.photos.fxfycxcy[0, :HELD_OUT])
    assert pools.sources["splat"] is bed.splat and pools.sources["object"] is upstream.objects


def test_a_judged_set_shows_the_held_out_camera_last_and_no_input_among_its_targets(bed):
    for inputs in (1, 2, 4):
        data = judged_set(bed, replace(BASE, inputs=inputs), 32, np.arange(4), exact=True)
        assert data.image.shape[:2] == (4, inputs + 2)
        centers = data.c2w[0, :, :3, 3]
        assert torch.cdist(centers[-2:], centers[:inputs]).min() > 0.1
        held_out = torch.from_numpy(np.linalg.inv(bed.tests.w2c[0, HELD_OUT])[:3, 3]).float()
        torch.testing.assert_close(centers[-1], held_out, atol=1e-5, rtol=0)


def test_arms_of_the_experiment():
    replay, rate = cell_arm("sequence-replay")
    assert replay.shares == {"object": 0.2, "real": 0.8} and rate == 0.1
    constant, rate = cell_arm("80-20")
    assert constant.shares == pytest.approx({"object": 0.8, "real": 0.1, "distilled": 0.05, "splat": 0.05})
    assert not constant.curriculum and rate == 1.0 and cell_arm("80-20-curriculum") == ("80-20", 1.0)
    assert cell_arm("sequence")[0].shares == cell_arm("real-only-exposure")[0].shares == {"real": 1.0}
    assert cell_steps("real-only-exposure", 100) == 20 and cell_steps("real-only", 100) == 100


def test_facts_say_what_a_cell_was_made_of(done):
    _, facts = done
    assert set(facts[0]["hashes"]) == {"animal 0", "objects", "start small_plain"}
    assert set(facts[3]["hashes"]) == {"animal 0", "objects"}  # from scratch
    json.dumps(facts)
