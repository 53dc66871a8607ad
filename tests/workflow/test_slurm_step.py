"""The SLURM step of CI (tests/slurm/ci.sh) where there can be no SLURM: it says why, ends well and leaves nothing."""

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def run_step(tmp_path, **programs):
    """The step with these programs in place of the machine's, and without its sbatch."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for path in Path("/usr/bin").iterdir():
        if path.name not in ("sbatch", "apt-get", *programs):
            (folder / path.name).symlink_to(path)
    for name, script in programs.items():
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)
    env = {name: value for name, value in os.environ.items() if not name.startswith("SLURM_")}
    env |= {"PATH": str(folder), "TMPDIR": str(tmp_path)}
    return subprocess.run(
        ["/bin/bash", str(ROOT / "tests/slurm/ci.sh")], env=env, capture_output=True, text=True, timeout=60
    )


@pytest.mark.parametrize(
    "programs, why",
    [
        ({"id": "echo 1000"}, "it needs root"),
        (
            {"id": "echo 0", "apt-get": "echo 'E: no network' >&2; exit 100"},
            "its packages cannot be installed: E: no network",
        ),
        ({"id": "echo 0", "apt-get": "exit 0"}, "its packages hold no slurmctld"),
    ],
)
def test_where_slurm_cannot_be_had_the_step_says_why_and_ends_well(tmp_path, programs, why):
    before = set(Path("/tmp").glob("mousefacelift-slurm-*"))
    done = run_step(tmp_path, **programs)
    assert done.returncode == 0 and f"SLURM step left out: {why}" in done.stdout, done.stdout + done.stderr
    assert set(Path("/tmp").glob("mousefacelift-slurm-*")) <= before
