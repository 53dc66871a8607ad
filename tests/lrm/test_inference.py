"""Prediction and its inputs."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from mousefacelift.check.predictions import read_predictions
from mousefacelift.core.samples import View
from mousefacelift.dataset.manifest import Manifest
from mousefacelift.errors import CameraError, DataError
from mousefacelift.lrm.config import PredictConfig
from mousefacelift.lrm.infer import stack_views
from mousefacelift.lrm.predict import plan, predict

from .toy import build_toy_dataset, cast_balls, rig

SMALL = PredictConfig(max_frames=2, train_frames=1, splits=("test",), splats_kept=1)


def test_predictions_meet_their_truth_in_the_form_that_evaluation_reads(trained, toy_dataset, tmp_path):
    index = predict(trained, toy_dataset, tmp_path / "predictions", SMALL)
    opened = read_predictions(tmp_path / "predictions" / "index.json")
    header, items = opened.header, [opened.item(brief) for brief in opened.briefs]
    assert header["arm"] == "no-synthetic" and header["size"] == 32 and len(header["model_hash"]) == 64
    assert header["render"]["alpha_max"] == 0.99 and all(item.health["count"] > 0 for item in items)
    assert sorted((item.protocol, item.kind) for item in items) == [
        ("A", "swap"),
        ("A", "swap"),
        ("A", "target"),
        ("A", "target"),
        ("B", "target"),
        ("C", "swap"),
        ("C", "swap"),
        ("C", "target"),
        ("C", "target"),
    ]
    for item in items:
        assert 5 not in {shown.camera for shown in item.inputs} and len(item.inputs) == 4
        assert not Path(item.targets[0].sample).is_absolute() and len(opened.load(item).truth) == len(item.targets)
        judged = [camera for camera, given in zip(item.cameras, item.is_input) if not given]
        assert judged == ([5] if item.protocol in "BC" else judged) and len(judged) == 1
        assert item.split == ("train" if item.protocol == "B" else "test")
    assert sum((tmp_path / "predictions" / row["name"] / "splat.ply").exists() for row in index["items"]) == 1


def test_a_prediction_of_more_views_than_there_are_is_refused(trained, toy_dataset, tmp_path):
    with pytest.raises(DataError, match="no real frame to predict") as caught:
        predict(trained, toy_dataset, tmp_path, PredictConfig(inputs=6))
    assert "6 seen cameras and one more view" in str(caught.value)


@pytest.mark.parametrize("cameras, shown", [(3, 2), (4, 3), (6, 4)])
def test_small_rigs_show_all_seen_cameras_but_one(tmp_path, cameras, shown):
    manifest = Manifest.open_verified(build_toy_dataset(tmp_path / "set", 16, 24, 1, cameras=cameras))
    tasks = plan(manifest, SMALL)
    assert {len(task.at.inputs) for task in tasks} == {shown}
    assert all(task.at.others for task in tasks if task.protocol == "A")


def test_bad_views_are_refused_by_name():
    camera = rig(32)[0]
    good = View(cast_balls(camera, 0, (0.5, 0.5, 0.5)), camera)
    bad = good.rgba.copy()
    bad[3, 3, 0] = np.nan
    with pytest.raises(DataError, match="not finite"):
        stack_views([good, View(bad, camera)], 32)
    with pytest.raises(DataError, match="no foreground"):
        stack_views([View(good.rgba * 0, camera)], 32)
    behind = np.diag([-1.0, 1.0, -1.0, 1.0]) @ camera.w2c  # turned round: looks away from the animal
    with pytest.raises(CameraError, match="behind a camera"):
        stack_views([dataclasses.replace(good, camera=dataclasses.replace(camera, w2c=behind))], 32)
