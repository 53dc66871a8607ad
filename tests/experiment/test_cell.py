"""A cell from its start to its row in the tables, at a size that takes seconds."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from mousefacelift.errors import DataError
from mousefacelift.experiment import cell as cell_module
from mousefacelift.experiment.cell import run_cells
from mousefacelift.experiment.config import Cell
from mousefacelift.experiment.film import HELD_OUT
from mousefacelift.experiment.judge import judged_set
from mousefacelift.experiment.pools import cell_arm, cell_pools, cell_steps
from mousefacelift.experiment.tables import trips, write_tables

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


def test_tables_have_a_row_per_cell_and_pairs_differ_in_one_factor(done, tmp_path):
    folder, facts = done
    unfinished = replace(BASE, cameras="px2")
    write_tables([*CELLS, unfinished], folder, tmp_path)
    cells, levels = pd.read_csv(tmp_path / "cells.csv"), pd.read_csv(tmp_path / "levels.csv")
    assert len(cells) == len(levels) == 4 and cells["key"].tolist() == [fact["key"] for fact in facts]
    assert levels["animals"].tolist() == [1] * 4
    assert np.isfinite(cells[["C_told_fg_psnr", "C_mean_image_fg_psnr", "C_white_fg_psnr", "n_eff"]]).all().all()
    with pytest.raises(DataError, match="finished"):
        write_tables([unfinished], folder, tmp_path)


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
