"""What was handed in because something was wrong with it: each folder has a test that names it, the small ones here.

Told elsewhere under other names: b_configfile_keeps_the_virtual_mouse, b_init_own_result and b_slurm_gres_only in
tests/workflow/test_plan.py (the same configurations, on a finished run); the scripts of s_splats in core/test_ply.py
(f01, f02, f08) and dataset/test_formats.py (f03, f05, f06).
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml

from mousefacelift.check.ladder import input_hull, visual_hull
from mousefacelift.core.records import SampleFacts
from mousefacelift.dataset.formats import facelift
from mousefacelift.errors import ConfigError
from mousefacelift.reconstruct.views import canonical_views
from tests.test_planning import plan

TESTS = Path(__file__).parent


def read_handed(folder, to):
    """A handed sample without the records that earlier versions wrote beside its views."""
    shutil.copytree(folder, to, copy_function=shutil.copyfile)
    to.chmod(0o755)
    document = json.loads((to / "opencv_cameras.json").read_text())
    frames = [{k: v for k, v in frame.items() if k not in ("meta", "hash")} for frame in document["frames"]]
    (to / "opencv_cameras.json").write_text(json.dumps({"id": to.name, "frames": frames}))
    return facelift.read(to, SampleFacts("real", "m1", licence="handed"))


@pytest.fixture(scope="module")
def files(shared):
    return shared / "fixtures/real_files"


def test_every_handed_input_has_a_test(files):
    handed = [path for path in files.iterdir() if path.is_dir()]
    told = "\n".join(path.read_text() for path in TESTS.rglob("test_*.py"))
    assert len(handed) >= 20
    assert [path.name for path in sorted(handed) if path.name not in told] == []


@pytest.mark.parametrize("name", ["date", "number", "scan"])
def test_names_that_yaml_reads_as_numbers_are_told_to_be_quoted(files, tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    sections = yaml.safe_load((files / f"b_names_that_are_numbers/{name}.yaml").read_text())
    with pytest.raises(ConfigError, match="quotes|for YAML"):
        plan(**sections)


def test_a_rig_of_four_cameras_is_checked_before_anything_runs(files, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    handed = yaml.safe_load((files / "r_four_cameras/four.yaml").read_text())
    sections = {name: handed[name] for name in ("virtual", "recordings", "dataset")}  # other keys have moved since
    sections["virtual"].pop("degradations")
    with pytest.raises(ConfigError, match="held_out_camera"):
        plan(**sections)
    sections["dataset"]["splits"]["held_out_camera"] = 3
    plan(**sections, predict={"inputs": 2}, loader={"inputs": [2, 3]})


def test_one_sample_in_canonical_units_metres_and_millimetres_becomes_one_sample(files, tmp_path):
    folder = files / "b_views_in_another_unit"
    canonical, one = canonical_views(read_handed(folder / "canonical", tmp_path / "canonical"), "canonical")
    assert one == 1.0
    for name in ("metres", "millimetres"):
        found, factor = canonical_views(read_handed(folder / name, tmp_path / name), name)
        assert factor != 1.0
        for ours, theirs in zip(found.cameras, canonical.cameras, strict=True):
            np.testing.assert_allclose(ours.w2c, theirs.w2c, atol=0.02)  # views near the distance stay


def test_the_hull_baseline_of_the_handed_views_has_no_pinholes(files, tmp_path):
    sample = read_handed(files / "r_hull_pinholes/000000", tmp_path / "000000")
    for index, view in enumerate(sample.views):
        rest = [other for k, other in enumerate(sample.views) if k != index]
        seen = (visual_hull(input_hull(rest), rest, view.camera)[..., 3] > 0.5).astype(np.uint8)
        contours, _ = cv2.findContours(seen, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        filled = cv2.drawContours(np.zeros_like(seen), contours, -1, 1, cv2.FILLED)
        assert (filled & ~seen).sum() < 0.002 * seen.sum()
