import json
import os
from datetime import date

import numpy as np
import pytest

from mousefacelift.capture.readers import opencv_json
from mousefacelift.errors import ConfigError
from mousefacelift.formats.raw_camera import RawCamera
from mousefacelift.planning import check_plan, check_start, keep_named_recordings, refuse_cameras, refuse_outputs
from mousefacelift.schema import complete

CONFIG = {
    "recordings": {"m1": {"path": "virtual"}, "own": {"path": "data/own"}},
    "train": {"init": ""},
    "objects": {"scans": {"sequences": {"s": {"path": "data/scan", "poses": ""}}}},
}
RUNS = ["80-20", "80-20.seed1"]


def with_value(key, value):
    config = {
        name: {k: dict(v) if isinstance(v, dict) else v for k, v in part.items()} for name, part in CONFIG.items()
    }
    *parents, last = key.split(".")
    node = config
    for name in parents:
        node = node.setdefault(name, {})
    node[last] = value
    return config


@pytest.mark.parametrize(
    "key, value",
    [
        ("train.init", "results/train/80-20"),
        ("train.init", "results/train/80-20/model.safetensors"),
        ("train.init", "./results/../results/train/80-20.seed1/"),
        ("recordings.own.path", "results/recordings/m1"),
        ("objects.path", "results/objects/samples"),
        ("distill.weights", "results/distill/generator"),
        ("objects.scans.sequences.s.path", "results/recordings/m1/truth"),
    ],
)
def test_a_path_that_a_rule_of_this_configuration_writes_is_refused(tmp_path, monkeypatch, key, value):
    monkeypatch.chdir(tmp_path)
    for text in (value, os.path.abspath(value)):
        with pytest.raises(ConfigError, match=key) as error:
            refuse_outputs(with_value(key, text), RUNS)
        assert "cp -r" in str(error.value)


def test_a_generator_cannot_learn_from_a_recording_that_is_not_there():
    config = complete({"recordings": {"m1": {"path": "virtual"}, "m2": {"path": "virtual"}}})
    config["distill"]["recordings"] = ["m2", "m3"]
    with pytest.raises(ConfigError, match=r"(?s)distill.recordings.*got m3, expected some of m1, m2"):
        check_plan(config)


def test_a_symbolic_link_to_a_result_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "results/train/80-20").mkdir(parents=True)
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept/model").symlink_to(tmp_path / "results/train/80-20")
    with pytest.raises(ConfigError):
        refuse_outputs(with_value("train.init", "kept/model"), RUNS)


@pytest.mark.parametrize(
    "key, value",
    [
        ("train.init", ""),
        ("train.init", "results/train/base"),  # an earlier run that this configuration does not make
        ("train.init", "kept/80-20"),
        ("recordings.own.path", "results/recordings/own"),
        ("recordings.own.path", "."),
        ("report.title", "results"),
        ("objects.path", "https://results/train/80-20"),
    ],
)
def test_other_paths_are_none_of_its_business(tmp_path, monkeypatch, key, value):
    monkeypatch.chdir(tmp_path)
    refuse_outputs(with_value(key, value), RUNS)


def rig(cameras, **keys):
    sections = {
        "virtual": {"cameras": cameras},
        "recordings": {"m1": {"path": "virtual"}, "own": {"path": "data/own"}},
        "dataset": {"splits": {"held_out_camera": keys.get("held_out", 5)}},
        "predict": {"inputs": keys.get("inputs", 4)},
        "loader": {"inputs": [keys.get("least", 3), 5], "unseen_targets": 1},
    }
    return sections


@pytest.mark.parametrize(
    "config, key",
    [
        (rig(4), "held_out_camera"),
        (rig(4, held_out=3), "predict.inputs"),
        (rig(4, held_out=3, inputs=2), "loader.inputs"),
        (rig(5, held_out=None, inputs=5), "predict.inputs"),
    ],
)
def test_a_rig_of_fewer_cameras_than_the_keys_need_is_refused_before_any_job(config, key):
    with pytest.raises(ConfigError, match=key):
        refuse_cameras(config)


def test_a_rig_that_fits_its_keys_is_planned():
    refuse_cameras(rig(6))
    refuse_cameras(rig(4, held_out=3, inputs=2, least=2))
    refuse_cameras(rig(3, held_out=None, inputs=2, least=2))
    only_own = rig(3) | {"recordings": {"own": {"path": "data/own"}}}
    refuse_cameras(only_own)
    refuse_cameras(rig(3, held_out=2, inputs="auto", least=1))


def test_a_hint_of_planning_followed_to_the_letter_is_planned():
    config = rig(4, held_out=3)
    config["predict"]["inputs"] = "auto"
    with pytest.raises(ConfigError, match=r"loader.inputs: \[2, 2\]"):
        refuse_cameras(config)
    config["loader"]["inputs"] = [2, 2]
    refuse_cameras(config)


@pytest.mark.parametrize("held_out, refused", [(5, True), ("c9", True), (3, False), ("0", False), (None, False)])
def test_a_real_recording_tells_its_cameras_before_its_audit(tmp_path, monkeypatch, held_out, refused):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "rec"
    for part in ("videos", "masks"):
        (folder / part).mkdir(parents=True)
        for index in range(5):
            (folder / part / f"{index}.mp4").touch()
    K = np.array([[200.0, 0, 64], [0, 200, 64], [0, 0, 1]])
    cameras = [
        RawCamera(str(index), K, np.eye(3), np.array([0, 0, 300.0]), width=128, height=128) for index in range(5)
    ]
    opencv_json.write(folder / "cameras.json", cameras)
    config = rig(6, held_out=held_out, inputs="auto", least=2)
    config["recordings"] = {"own": {"path": str(folder), "drop_cameras": ["4"]}}
    if refused:
        with pytest.raises(ConfigError, match=r"(?s)'own'.*expected 0 to 3, one of 0, 1, 2, 3, or null"):
            refuse_cameras(config)
    else:
        refuse_cameras(config)
    (folder / "cameras.json").write_text("{}")  # what is wrong with the files is the audit's to say
    refuse_cameras(config)


def plan(**sections):
    """What the Snakefile does with a configuration, before any job is planned."""
    config = complete({"recordings": {"mouse1": {}}} | sections)
    check_plan(config)
    check_start(config)
    refuse_cameras(config)


def own(**keys):
    return {"recordings": {"m1": {"path": "/data/m", **keys}}}


@pytest.mark.parametrize(
    "sections, words",
    [
        ({"arms": ["90:10"]}, "arm '90:10' is not known"),
        ({"sweep": ["90-20"]}, "does not sum to 100"),
        ({"arms": []}, "'arms' is empty"),
        ({"arms": ["80-20.nerf"]}, "names a reconstructor that there is not"),
        ({"sweep": ["80.lgm"]}, "arm '80' is not known"),
        ({"arms": ["80-20.lgm"], "train": {"init": "weights/facelift"}}, "cannot start from 'train.init'"),
        ({"arms": ["80-20.lgm"], "train": {"preset": "base"}}, "has no sizes called 'base'"),
        ({"recordings": {}}, "'recordings' is empty"),
        (own(frames=[]), "recordings.m1' is not usable: frames"),
        (own(frames=[4]), "frames"),
        (own(frames=[0, 9, 1, 1]), "frames"),
        (own(frames=[9, 3]), "frames"),
        (own(frames=[0, 9, 0]), "frames"),
        ({"train": {"steps": 0}}, "'train' is not usable: steps is 0"),
        ({"splats": {"fit": {"optimise": {"steps": 0}}}}, "splats.fit"),
        ({"distill": {"generator": {"training": {"steps": 0}}}}, "distill.generator.training"),
        ({"jobs": {"frames_per_job": 0}}, "frames_per_job is 0"),
        ({"jobs": {"objects_per_job": -1}}, "objects_per_job is -1"),
        ({"jobs": {"gpus": {"train": -1}}}, "train is -1"),
        ({"recordings": {20240501: {}}}, 'write it in quotes: "20240501"'),
        ({"recordings": {date(2024, 5, 1): {}}}, "a date"),
        ({"recordings": {True: {}}}, "true or false"),
        ({"objects": {"scans": {"sequences": {7: {"path": "x.npz", "frames": [0, 4]}}}}}, "objects.scans.sequences"),
        ({"dataset": {"splits": {"subjects": {"mouse1": date(2024, 5, 1)}}}}, "is a date for YAML"),
        ({"recordings": {"a.b": {}}}, "cannot be a folder"),
        ({"recordings": {"a\nb": {}}}, "cannot be a folder"),
        ({"recordings": {"..": {}}}, "cannot be a folder"),
        ({"objects": {"scans": {"sequences": {"a/b": {"path": "x.npz", "frames": [0, 4]}}}}}, "cannot be a folder"),
        ({"dataset": {"splits": {"held_out_camera": 6}}}, "0 to 5"),
        ({"recordings": {"mouse1": {"frames": [0, 49]}}}, "virtual.frames 48"),
        ({"train": {"init": "weights/none"}}, "is not there"),
        ({"scale": "published"}, "lrm import"),
    ],
)
def test_what_cannot_be_is_refused_before_any_job_is_planned(tmp_path, monkeypatch, sections, words):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError) as error:
        plan(**sections)
    assert words in str(error.value) and len(str(error.value)) < 800 and error.value.exit_code == 2


def test_a_held_out_camera_is_checked_against_an_audited_rig(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    plan(**own(frames=[0, 9]))  # no rig is known yet
    rig = tmp_path / "results/capture/m1/rig.json"
    rig.parent.mkdir(parents=True)
    rig.write_text(json.dumps({"cameras": [{"name": name} for name in "abcd"]}))
    with pytest.raises(ConfigError, match="0 to 3"):
        plan(**own(frames=[0, 9]))
    plan(**own(frames=[0, 9]), dataset={"splits": {"held_out_camera": 3}}, loader={"inputs": [2, 2]})


def test_good_configurations_pass(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "weights/facelift").mkdir(parents=True)
    plan(
        scale="published", arms=["real-only", "0-100"], recordings={"2024-05-01_rat": {}, "m2": {"frames": [3, 40, 2]}}
    )


def test_recordings_of_the_last_file_that_names_some_are_the_recordings(tmp_path):
    first, mine = tmp_path / "config.yaml", tmp_path / "mine.yaml"
    first.write_text("recordings: {mouse1: {path: virtual}}")
    mine.write_text("recordings: {rat1: {path: /data/rat1}}")
    merged = {"mouse1": {"path": "virtual"}, "rat1": {"path": "/data/rat1"}, "cli": {}}
    config = {"recordings": dict(merged)}
    keep_named_recordings(config, [str(mine), str(first)], [str(mine)])
    assert list(config["recordings"]) == ["rat1", "cli"]  # one of --config stays
    mine.write_text("recordings: {rat1: {path: /data/rat1}, mouse1: {}}")
    config = {"recordings": dict(merged)}
    keep_named_recordings(config, [str(mine), str(first)], [str(mine)])
    assert config["recordings"] == merged
    mine.write_text("train: {steps: 3}")
    config = {"recordings": {"mouse1": {}}}
    keep_named_recordings(config, [str(mine), str(first)], [str(mine)])
    assert list(config["recordings"]) == ["mouse1"]
