"""Experiment files: what they plan, and what they are refused for."""

import pytest

from mousefacelift.errors import ConfigError
from mousefacelift.experiment.config import (
    CONSTRAINTS,
    bed_folder,
    cells_folder,
    plan_cells,
    read_experiment,
    read_trial,
    starts_folder,
)
from mousefacelift.experiment.constraints import LEVELS
from tests.rules import ROOT


def written(tmp_path, text):
    path = tmp_path / "trial.yaml"
    path.write_text(text)
    return path


def test_a_block_is_a_full_cross_in_which_all_animals_come_before_the_next_condition(tmp_path):
    text = "bed: {animals: 2}\nblocks:\n- {constraint: [small, small_plain], cameras: [exact, px50]}\n- {inputs: [1]}\n"
    cells = plan_cells(read_experiment(written(tmp_path, text)))
    assert len(cells) == 2 * (2 * 2 + 1)
    assert [cell.animal for cell in cells[:4]] == [0, 1, 0, 1] and cells[0].condition == cells[1].condition
    assert {cell.data for cell in cells} == {"real-only"}  # what is not named keeps its base level


def test_a_cell_that_two_blocks_name_runs_once(tmp_path):
    text = "bed: {animals: 1}\nblocks:\n- {cameras: [exact, px10]}\n- {cameras: [px10, px50]}\n"
    assert [cell.cameras for cell in plan_cells(read_experiment(written(tmp_path, text)))] == ["exact", "px10", "px50"]


@pytest.mark.parametrize(
    "text,said",
    [
        ("blocks: []\n", "no blocks"),
        ("blocks:\n- {cameras: [px7]}\n", "wrong value"),
        ("blocks:\n- {camera: [exact]}\n", "not known"),
        ("blocks:\n- {inputs: [5]}\n", "views or frames"),
        ("blocks:\n- {frames: [401]}\n", "views or frames"),
    ],
)
def test_what_makes_no_experiment_is_refused_by_name(tmp_path, text, said):
    with pytest.raises(ConfigError, match=said):
        read_experiment(written(tmp_path, text))


def test_experiments_that_film_the_same_share_their_animals_and_starts(tmp_path):
    one = read_experiment(written(tmp_path, "blocks:\n- {cameras: [px2]}\n"))
    two = read_experiment(written(tmp_path, "blocks:\n- {data: ['80-20']}\ntraining: {steps: 7}\n"))
    wide = read_experiment(written(tmp_path, "blocks:\n- {}\ntraining: {dim: 64}\n"))
    assert bed_folder(one) == bed_folder(two) == bed_folder(wide)
    assert starts_folder(one) == starts_folder(two) != starts_folder(wide)
    same = read_experiment(written(tmp_path, "blocks:\n- {cameras: [px50]}\n"))
    assert cells_folder(one) == cells_folder(same) != cells_folder(two)  # other steps are other cells of the same name


def test_every_constraint_has_its_network_and_loss():
    assert set(LEVELS) == set(CONSTRAINTS)


def test_the_experiments_of_the_project_can_be_planned():
    files = sorted((ROOT / "workflow" / "experiments").glob("*.yaml"))
    assert files
    for path in files:
        assert read_trial(path)["animals"] >= 5
