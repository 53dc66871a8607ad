import argparse
import shutil
import textwrap

import pytest

from mousefacelift import arguments, planning, schema, workflow
from mousefacelift.chunks import frame_chunks
from mousefacelift.core import provenance
from mousefacelift.errors import ConfigError


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A small package of its own in place of the real one."""
    root = tmp_path / "mousefacelift"
    (root / "core").mkdir(parents=True)
    for name, text in {
        "__init__": "",
        "core/__init__": "",
        "core/base": "X = 1\n",
        "other": "Y = 1\n",
        "stage": '"""Doc."""\nfrom mousefacelift.core.base import X\ndef f():\n    """D."""\n    return X\n',
    }.items():
        (root / f"{name}.py").write_text(textwrap.dedent(text))
    monkeypatch.setattr(provenance, "PACKAGE", root)
    return root


def version():
    provenance.code_version.cache_clear()
    for function in (provenance._read_module, provenance._sources, provenance._digests):
        function.cache_clear()
    return provenance.code_version(("mousefacelift.stage",))


def test_comments_docstrings_and_other_modules_change_nothing(package):
    before = version()
    stage = package / "stage.py"
    stage.write_text(
        "# new comment\n" + stage.read_text().replace("D.", "Another doc.").replace("return X", "return  X")
    )
    (package / "other.py").write_text("Y = 2\n")
    assert version() == before


def test_code_here_and_in_what_is_imported_changes_it(package):
    before = version()
    (package / "core/base.py").write_text("X = 2\n")
    imported = version()
    (package / "stage.py").write_text((package / "stage.py").read_text().replace("return X", "return X + 1"))
    assert len({before, imported, version()}) == 3


def test_code_of_what_is_imported_by_its_name_counts(package):
    (package / "kinds").mkdir()
    for name in ("__init__", "one"):
        (package / f"kinds/{name}.py").write_text("Z = 1\n")
    (package / "stage.py").write_text('PLUG_INS = "mousefacelift.kinds"\n')
    before = version()
    (package / "kinds/one.py").write_text("Z = 2\n")
    changed = version()
    (package / "kinds/two.py").write_text("Z = 1\n")
    assert len({before, changed, version()}) == 3


def test_stored_digests_are_taken_for_the_same_bytes_alone_and_a_broken_store_is_done_without(package, monkeypatch):
    compiled, digest = [], provenance._digest
    monkeypatch.setattr(
        provenance, "_digest", lambda text, module, path: compiled.append(module) or digest(text, module, path)
    )
    before = version()
    assert len(compiled) == 2 and version() == before and len(compiled) == 2
    (package / "core/base.py").write_text("X = 2\n")
    assert version() != before and compiled[2:] == ["mousefacelift.core.base"]
    (package / "core/base.py").write_text("X = 1\n")
    (store,) = (package / "__pycache__").glob("code_version.*.json")
    for broken in ('{"mousefacelift.stage": 1}', "[]", '{"a": ['):
        store.write_text(broken)
        assert version() == before
    shutil.rmtree(package / "__pycache__")
    (package / "__pycache__").write_text("no folder")
    assert version() == before


def test_a_rule_that_names_a_missing_module_is_refused(package):
    with pytest.raises(FileNotFoundError, match="mousefacelift.nothing"):
        provenance.code_version(("mousefacelift.nothing",))


def test_only_the_named_sections_reach_a_rule(package):
    config = {"a": {"x": 1}, "b": {"y": 2}, "seed": 0, "jobs": {"rerun_on_code": True}}
    params = workflow.stage_params(config, ["a"], ["mousefacelift.stage"])
    config["b"]["y"] = 3
    assert workflow.stage_params(config, ["a"], ["mousefacelift.stage"]) == params
    config["jobs"]["rerun_on_code"] = False
    assert workflow.stage_params(config, ["a"], ["mousefacelift.stage"])["code"] == "off"


def test_chunks_of_rules_and_of_commands_agree():
    ranges = workflow.frame_ranges([0, 100, 3], 10)
    assert list(ranges) == [name for name, _ in frame_chunks(0, 100, 3, 10)]
    frames = [f for text in ranges.values() for f in range(*map(int, text.split(":")))]
    assert frames == list(range(0, 100, 3))


def test_two_recordings_of_one_name_are_refused(tmp_path):
    """YAML itself would keep the second without a word."""
    path = tmp_path / "config.yaml"
    path.write_text("recordings:\n  m1: {path: a}\n  m2: {path: b}\n")
    planning.refuse_repeated_keys([str(path)])
    path.write_text("recordings:\n  m1: {path: a}\n  m1: {path: b}\n")
    with pytest.raises(ConfigError, match="recordings.m1 twice"):
        planning.refuse_repeated_keys([str(path)])


def test_scans_are_every_so_many_frames_of_virtual_recordings_and_the_users_sequences():
    config = {
        "recordings": {"a": {"path": "virtual", "frames": [10, 50]}, "b": {"path": "/data/b", "frames": [0, 9]}},
        "objects": {"scans": {"every": 12, "sequences": {"b": {"path": "fits", "frames": [0, 9, 4]}}}},
    }
    scans = workflow.scan_sequences(config)
    assert scans["a"] == {"path": "results/recordings/a/truth", "poses": "", "is_virtual": True, "frames": [10, 50, 12]}
    assert list(workflow.frame_numbers(scans["a"]["frames"])) == [10, 22, 34, 46]
    assert scans["b"] == {"path": "fits", "poses": "", "is_virtual": False, "frames": [0, 9, 4]}
    config["objects"]["scans"] |= {"every": 0, "sequences": {}}
    assert workflow.scan_sequences(config) == {}


def test_a_key_that_a_rule_does_not_read_is_no_part_of_its_parameters():
    config = {"seed": 0, "objects": {"count": 1, "scans": 2}, "jobs": {"rerun_on_code": False}}
    params = workflow.stage_params(config, workflow.expand_keys("seed objects.{count}"), [])
    assert params["config"] == '{"exact": true, "objects": {"count": 1}, "seed": 0}'
    assert config["objects"] == {"count": 1, "scans": 2}


def test_keys_in_braces_are_written_out():
    assert workflow.expand_keys("a.{b,c.d} seed") == ["a.b", "a.c.d", "seed"] and workflow.expand_keys("") == []


def test_a_long_configuration_is_handed_over_by_a_file(tmp_path, monkeypatch):
    """20,000 excluded frames are more than one argument of a command may hold."""
    monkeypatch.chdir(tmp_path)
    config = {"recordings": {"m1": {"exclude": list(range(20_000))}}, "jobs": {"rerun_on_code": False}}
    text = workflow.stage_params(config, ["recordings.m1.exclude"], [])["config"]
    assert text.startswith("@results/config/") and len(text) < 100
    mapping = arguments.config_mapping(argparse.Namespace(config_json=text))
    assert mapping["recordings"] == config["recordings"] and mapping["exact"]
    config["recordings"]["m1"]["exclude"].append(3)
    assert workflow.stage_params(config, ["recordings.m1.exclude"], [])["config"] != text
    with pytest.raises(ConfigError, match="cannot be read"):
        arguments.config_mapping(argparse.Namespace(config_json="@results/config/none.json"))


def test_masks_ask_for_the_time_that_their_network_takes():
    config = {"recordings": {"r": {"frames": [0, 18000]}}, "capture": {"mask_backend": "unet"}}
    assert workflow.mask_minutes(config, "r", 4) == 15 + 540  # 24 hours of one thread on four, and half as much again
    config["capture"]["mask_backend"] = "median"
    assert workflow.mask_minutes(config, "r", 4) < 80


def test_steps_over_all_pictures_and_frames_ask_for_time_in_proportion_to_what_is_planned():
    config = schema.complete({"recordings": {"mouse1": {"frames": [0, 48]}}, "virtual": {"frames": 48}})
    small = {step: workflow.manifest_minutes(config, step, 2) for step in workflow.VIEW_SECONDS}
    assert set(small.values()) == {30} and workflow.judging_minutes(config) < 70
    config["recordings"]["mouse1"]["frames"], config["objects"]["count"] = [0, 18_000], 80_000
    assert 2.56e6 + 18_000 * 6 < workflow.planned_views(config) < 4.5e6  # benchmarks/cluster_plan.py counts 4.4 M files
    assert 2.7 * 60 < workflow.manifest_minutes(config, "build", 2) < 5 * 60  # its upper bound is 2.7 hours
    assert workflow.manifest_minutes(config, "build", 8) < workflow.manifest_minutes(config, "build", 2) / 2
    config["capture"]["size"] = 512
    assert workflow.manifest_minutes(config, "verify", 2) > 2 * 60
    bounded = workflow.judging_minutes(config)
    config["predict"]["max_frames"] = 18_000
    assert workflow.judging_minutes(config) > 5 * bounded
