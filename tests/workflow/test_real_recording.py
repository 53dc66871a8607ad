"""A real recording, five cameras around a glass cylinder, from its files to the report: `snakemake` as a lab types it.

python -m pytest -m slow tests/workflow/test_real_recording.py     (needs ../shared)
"""

import json
import subprocess
import sys

import pandas as pd
import pytest
import yaml

from .test_plan import ROOT


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_the_real_cylinder_goes_from_its_files_to_the_report(shared, tmp_path):
    folder = shared / "data" / "real_cylinder_mouse"
    if not folder.is_dir():
        pytest.skip("needs ../shared/data/real_cylinder_mouse")
    config = yaml.safe_load((ROOT / "tests/configs/tiny.yaml").read_text())
    own = {"path": str(folder), "frames": [0, 64], "fps": 6.0, "licence": "MIT"}
    config |= {"recordings": {"cylinder": own}, "dataset": {"splits": {"held_out_camera": None}}, "arms": ["80-20"]}
    config["jobs"]["frames_per_job"] = 64
    del config["distill"]  # two steps of adaptation at 64 px paint nothing that a gate lets pass
    config["capture"] = {"mask_backend": "complete"}  # its masks lack lit fur: half of the animal in camera U
    (tmp_path / "own.yaml").write_text(yaml.safe_dump(config))
    base = yaml.safe_load((ROOT / "config.yaml").read_text())
    base["recordings"] = {}
    (tmp_path / "base.yaml").write_text(yaml.safe_dump(base))
    command = [sys.executable, "-m", "snakemake", "-s", str(ROOT / "Snakefile"), "--directory", str(tmp_path)]
    command += ["--cores", "2", "--configfile", str(tmp_path / "base.yaml"), str(tmp_path / "own.yaml"), "--", "all"]
    run = subprocess.run(command, capture_output=True, text=True, timeout=3000)
    assert run.returncode == 0, run.stderr[-3000:]

    results = tmp_path / "results"
    report = json.loads((results / "capture/cylinder/rig.json").read_text())["report"]
    assert report["tangency"] < 0.003 and 25 < report["animal"]["hull_volume_cm3"] < 40
    assert len(report["cameras"]) == 5 and not any(row.get("masks") for row in report["cameras"])
    added = json.loads((results / "capture/cylinder/masks/completed.json").read_text())
    assert added["CameraU"]["added"] > 0.4 and added["CameraE"]["added"] < 0.05
    quality = pd.read_csv(results / "capture/cylinder/quality.csv")
    assert quality["frame"].nunique() > 50
    summary = json.loads((results / "evaluate/80-20/summary.json").read_text())
    judged = summary["protocols"]["A"]["held_out"]
    assert judged["visual_hull"]["iou"]["mean"] > 0.4 and 0 < judged["model"]["iou"]["mean"] < 1
    assert "cylinder" in (results / "report/index.html").read_text()
