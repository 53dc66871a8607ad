import os

import pytest

from mousefacelift.errors import ConfigError
from mousefacelift.planning import refuse_cameras, refuse_outputs

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
