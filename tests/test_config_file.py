"""config.yaml and its schema are what the sections say; defaults stand in the sections alone."""

from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator

from mousefacelift.config_file import write_config
from mousefacelift.errors import ConfigError
from mousefacelift.schema import SCALES, complete, pipeline_schema

ROOT = Path(__file__).resolve().parents[1]
REMEDY = "run: mousefacelift schema --out workflow/schemas/config.schema.yaml --config config.yaml"
LEAST = {"recordings": {"mouse1": {}}}


def at(config, key):
    for name in key.split("."):
        config = config[name]
    return config


def test_config_yaml_is_written_from_the_sections():
    text = (ROOT / "config.yaml").read_text()
    assert text == write_config(yaml.safe_load(text)), REMEDY


def test_config_yaml_holds_the_defaults_and_no_other_values():
    assert complete(yaml.safe_load((ROOT / "config.yaml").read_text())) == complete(LEAST)


def test_the_schema_file_is_written_from_the_sections():
    written = yaml.safe_load((ROOT / "workflow/schemas/config.schema.yaml").read_text())
    assert written == yaml.safe_load(yaml.safe_dump(pipeline_schema())), REMEDY


def test_the_defaults_satisfy_the_schema():
    schema = pipeline_schema()
    Draft202012Validator.check_schema(schema)
    assert list(Draft202012Validator(schema).iter_errors(complete(LEAST))) == []

    def defaults(node):
        for name, inner in node.items() if isinstance(node, dict) else ():
            if name == "properties":
                for entry in inner.values():
                    if "default" in entry:
                        yield entry
            yield from defaults(inner)

    checked = list(defaults(schema))
    assert len(checked) > 200
    for entry in checked:
        assert list(Draft202012Validator(entry | {"$defs": schema["$defs"]}).iter_errors(entry["default"])) == []


def test_a_users_own_values_stay_when_the_file_is_written_anew():
    mine = LEAST | {"train": {"steps": 7, "preset": "tiny"}, "mixture": {"scan_share": 0.5}, "scale": "lab"}
    text = write_config(mine)
    again = yaml.safe_load(text)
    assert again["train"]["steps"] == 7 and again["train"]["preset"] == "tiny" and again["scale"] == "lab"
    assert "size" not in again["capture"] and "# size: 256" in text
    assert complete(again) == complete(mine)


@pytest.mark.parametrize("scale", SCALES)
def test_one_key_sets_all_sizes_and_each_can_be_set_by_itself(scale):
    config = complete(LEAST | {"scale": scale})
    assert {key: at(config, key) for key in SCALES[scale]} == SCALES[scale]
    own = complete(LEAST | {"scale": scale, "capture": {"size": 96}, "splats": {"fit": {"optimise": {"steps": 9}}}})
    assert at(own, "capture.size") == 96 and at(own, "splats.fit.optimise.steps") == 9
    assert at(own, "splats.fit.count") == SCALES[scale]["splats.fit.count"]


def test_scales_name_the_same_keys_and_the_demo_is_the_default():
    assert {tuple(values) for values in SCALES.values()} == {tuple(SCALES["demo"])}
    assert complete(LEAST) == complete(LEAST | {"scale": "demo"})
    with pytest.raises(ConfigError, match="expected demo, lab, published"):
        complete(LEAST | {"scale": "huge"})


@pytest.mark.parametrize(
    ("section", "words"),
    [
        ({"train": {"steps": -5}}, "steps"),
        ({"seed": -1}, "seed is -1"),
        ({"capture": {"audit": {"max_tangency": float("nan")}}}, "finite"),
        ({"splats": {"trust": {"outlier": float("inf")}}}, "finite"),
        ({"capture": {"locate": {"min_hull_iou": 60.0}}}, "min_hull_iou is 60, and must be 1 or less"),
        ({"loader": {"background": 255.0}}, "must be 1 or less"),
        ({"splats": {"trust": {"frames": 0}}}, "must be 1 or more"),
        ({"distill": {"generator": {"network": {"pool": 0}}}}, "pool is 0"),
        ({"capture": {"locate": {"zoom": 0.0}}}, "zoom is 0"),
    ],
)
def test_numbers_that_can_mean_nothing_are_refused(section, words):
    with pytest.raises(ConfigError, match=words):
        complete(LEAST | section)


def test_numbers_below_zero_stay_where_they_mean_something():
    sections = {"virtual": {"degradations": {"dropped_frame_camera": -1}}, "distill": {"views": {"output_size": -1}}}
    complete(LEAST | sections | {"objects": {"views": {"elevation": -20.0}}})
