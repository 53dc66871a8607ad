"""The decision: a good run is used, a collapsed or chance one is not, and the sentence says where not to trust."""

import json

import numpy as np
import pandas as pd
import pytest

from mousefacelift.check import ladder
from mousefacelift.check.config import EvaluateConfig
from mousefacelift.check.decide import decide, read_run
from mousefacelift.check.evaluate import evaluate_arm
from mousefacelift.check.situation import nearest_angles, pose_of_hull, pose_of_views
from mousefacelift.check.trust_map import pose_classes, trust_cells
from mousefacelift.check.worst import worst_views
from mousefacelift.core.cameras import ring
from mousefacelift.core.hull import Hull, hull_depth
from mousefacelift.core.samples import read_sample
from tests.check.test_evaluate import CONFIG, INPUTS, write_predictions
from tests.lrm.toy import build_toy_dataset


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Evaluations of three networks: near the truth, darker than it, and one that answers always the same."""
    root = tmp_path_factory.mktemp("decide")
    build_toy_dataset(root / "dataset", with_objects=False)
    same = [view.rgba for view in read_sample(root / "dataset/real/000020", [*INPUTS, 1, 3]).views]
    paints = {
        "good": lambda images: [image * [0.95, 0.95, 0.95, 1] for image in images],
        "dark": lambda images: [image * [0.6, 0.6, 0.6, 1] for image in images],
        "frozen": lambda images: same[: len(images)],
    }
    for name, paint in paints.items():

        def floats(images, paint=paint):
            return [image.astype(np.float32) for image in paint(images)]

        folder = root / name / "predictions"
        folder.mkdir(parents=True)
        (root / name / "dataset").symlink_to(root / "dataset")
        index = write_predictions(folder, root / "dataset", floats)
        evaluate_arm(index, root / "dataset", root / name, CONFIG)
    return root


def make(runs, tmp_path, *names):
    return decide([runs / name / "summary.json" for name in names], None, tmp_path / "decision.json", CONFIG)


def test_the_better_run_is_used_and_the_sentence_names_it_first(runs, tmp_path):
    found = make(runs, tmp_path, "dark", "good")
    several, verdict = found["several"], found["verdict"]
    assert several["best"] == "good" and several["protocol"] == "C" and several["given"] == 3
    assert several["rivals"]["dark"]["low"] > 0 and several["gain"]["full_psnr"]["low"] > 0
    assert verdict["answer"] == "yes" and verdict["text"].startswith(
        "With this recording, use GS-LRM good on 3 pictures"
    )
    for part in ("; because ", "; sure to gain ", "; do not trust ", "95% interval", "4 moments", "other animals"):
        assert part in verdict["text"], part
    assert "only one arm" not in verdict["text"] and json.loads((tmp_path / "decision.json").read_text())["one"] is None
    assert (tmp_path / "worst_several.png").is_file()


def test_a_single_arm_is_not_called_the_best_mixture(runs, tmp_path):
    assert "only one arm was trained" in make(runs, tmp_path, "good")["verdict"]["doubt"]


def test_a_run_that_collapsed_is_never_used_even_alone(runs, tmp_path):
    assert make(runs, tmp_path, "frozen", "dark")["several"]["best"] == "dark"
    alone = make(runs, tmp_path, "frozen")
    assert alone["verdict"]["answer"] == "no" and not alone["several"]["healthy"]
    assert "no trained network" in alone["verdict"]["use"] and "collapses (" in alone["verdict"]["because"]


def test_nothing_judged_is_nothing_decided(tmp_path):
    assert decide([], None, tmp_path / "d.json", CONFIG)["verdict"]["answer"] == "undecided"


def test_circumstances_stand_in_the_metrics_and_are_averaged_nowhere(runs):
    run, table = read_run(runs / "good" / "summary.json"), pd.read_parquet(runs / "good" / "metrics.parquet")
    inputs, unseen = table[table["is_input"]], table[~table["is_input"]]
    assert (inputs["angle"] < 1e-6).all() and unseen["angle"].between(20, 80).all()
    assert table["stretch"].gt(1).all() and table["pitch"].between(0, 90).all()
    assert not {"angle", "stretch", "pitch"} & set(run.summary["protocols"]["A"]["held_out"]["model"])


def box(x, y, z):
    grid = np.zeros((40, 40, 40), bool)
    grid[20 - x : 20 + x, 20 - y : 20 + y, 20 - z : 20 + z] = True
    return Hull(grid, np.full(3, -1.0), 0.05)


def test_a_long_body_is_stretched_and_an_upright_one_rears():
    flat, upright = pose_of_hull(box(16, 4, 3)), pose_of_hull(box(3, 4, 16))
    assert flat["stretch"] == pytest.approx(4, rel=0.05) and flat["pitch"] == pytest.approx(0, abs=1)
    assert upright["stretch"] == pytest.approx(4, rel=0.05) and upright["pitch"] == pytest.approx(90, abs=1)
    assert np.isnan(pose_of_hull(Hull(np.zeros((4, 4, 4), bool), np.zeros(3), 1.0))["stretch"])


def test_the_pose_of_silhouettes_is_that_of_the_body_and_angles_go_to_the_nearest_picture(runs):
    views = read_sample(runs / "dataset/real/000003").views
    assert 1.05 < pose_of_views(views)["stretch"] < 2.5
    cameras = ring(8, 32)
    assert nearest_angles([cameras[0], cameras[4]], cameras[:3])[0] == pytest.approx(0, abs=1e-6)
    assert nearest_angles([cameras[0]], [cameras[1]])[0] < nearest_angles([cameras[0]], [cameras[2]])[0]


def table_of(iou, mean_iou=0.4, gain=3.0, moments=8):
    """Rows of model and mean image of one recording at two angles; the model is worse than the mean image far away."""
    rows = []
    for frame in range(moments):
        for camera, angle, drop in ((0, 5.0, 0.0), (1, 120.0, 0.5)):
            place = {"recording": "m", "frame": frame, "camera": camera, "angle": angle, "coverage": 1.0}
            pose = {"stretch": 1.0 + frame / 10, "pitch": 60.0 if frame == 0 else 5.0}
            psnr = 20.0 + gain - 10 * drop
            model = {"method": "model", "iou": iou - drop - frame / 100, "full_psnr": psnr, "fg_psnr": psnr}
            mean = {"method": "mean_image", "iou": mean_iou, "full_psnr": 20.0, "fg_psnr": 20.0}
            rows += [place | pose | model, place | pose | mean]
    return pd.DataFrame(rows)


def test_the_trust_map_tells_near_from_far_and_names_poses():
    cells = trust_cells(table_of(0.8), EvaluateConfig(bootstrap=50))
    assert {(cell["from"], cell["trusted"]) for cell in cells} == {(0, True), (105, False)}
    assert {cell["pose"] for cell in cells} == {"rearing", "curled up", "in between", "stretched out"}
    assert (
        sum(cell["views"] for cell in cells) == 16 and sum(cell["moments"] for cell in cells if cell["from"] == 0) == 8
    )


def test_few_moments_are_not_sorted_by_pose():
    assert set(pose_classes(pd.DataFrame({"stretch": [1.0, 2.0], "pitch": [0.0, 80.0]}))) == {"all poses"}


def test_worst_views_are_one_per_moment_and_the_worst_stands_first():
    worst = worst_views(table_of(0.8), 3)
    assert [row["frame"] for row in worst] == [7, 6, 5] and {row["camera"] for row in worst} == {1}
    assert worst[0]["iou"] == pytest.approx(0.23) and worst[0]["rungs"] == {"mean_image": 0.4}


def test_the_hull_of_a_single_input_is_its_cone(runs):
    view = read_sample(runs / "dataset/real/000003").views[0]
    assert ladder.input_hull([view]).occupancy.sum() == ladder.silhouette_cone(view).occupancy.sum() > 0


def test_depths_that_are_known_change_nothing_about_the_hull_rung(runs):
    views = read_sample(runs / "dataset/real/000003").views
    inputs, hull = views[:3], ladder.input_hull(views[:3])
    depths = [hull_depth(hull, view.camera) for view in inputs]
    shown = [ladder.visual_hull(hull, inputs, views[4].camera, known) for known in (None, depths)]
    assert np.array_equal(*shown) and shown[0][..., 3].any()
