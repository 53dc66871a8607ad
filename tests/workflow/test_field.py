"""A radiance field through Snakemake by one config key: from samples to trust, fits, in-between views and rings.

python -m pytest -m slow tests/workflow/test_field.py
"""

import json
import subprocess
import sys

import pytest
import yaml

from mousefacelift.chunk_lists import write_list
from mousefacelift.core.samples import read_sample
from tests.splats.conftest import toy_frame
from tests.splats.test_commands import write_chunk

from .test_plan import ROOT

RULES = ("calibrate_trust", "fit_splats", "render_novel", "render_ring")


@pytest.mark.slow
def test_one_key_takes_fields_through_the_stage(tmp_path):
    config = yaml.safe_load((ROOT / "tests/configs/tiny.yaml").read_text())
    config["splats"] |= {"method": "field"}
    config["splats"]["fit"] |= {"hull": {"grid": 40}, "field": {"steps": 10}}
    config["recordings"]["mouse1"]["frames"] = [0, 2]
    (tmp_path / "own.yaml").write_text(yaml.safe_dump(config))
    results, chunk = tmp_path / "results", "000000-000001"
    samples = write_chunk(results / f"capture/mouse1/samples/{chunk}", [toy_frame(64, turn=9.0 * k) for k in range(2)])
    write_list(samples.parents[1] / "chunks.json", (0, 2, 1), 12)
    wanted = [f"results/splats/mouse1/{kind}/{chunk}/index.json" for kind in ("samples", "ring")]
    files = [str(ROOT / "config.yaml"), str(tmp_path / "own.yaml")]
    command = [sys.executable, "-m", "snakemake", "-s", str(ROOT / "Snakefile"), "--directory", str(tmp_path)]
    command += ["--cores", "1", "--configfile", *files, "--allowed-rules", *RULES, "--", *wanted]
    run = subprocess.run(command, capture_output=True, text=True, timeout=1200)
    assert run.returncode == 0, run.stderr[-3000:]
    fit = json.loads((results / f"splats/mouse1/fits/{chunk}/000000/fit.json").read_text())
    assert fit["method"] == "field" and fit["steps"] == 10 and fit["cameras"]
    for path, views in zip(wanted, (6 + 5, 8)):
        sample = read_sample((tmp_path / path).parent / "000001")
        assert len(sample.views) == views and sample.facts.source == "splat"
