"""Cost of planning a run: `snakemake -n` over many frames and objects, in CPU seconds and peak memory of its process.

python benchmarks/planning.py [FRAMES:OBJECTS ...]

CPU seconds of user and system together, children included; they hold under load, wall time does not.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[1]
CASES = ("48:40", "1600:40", "48:80000", "100000:40")


def plan(frames: int, objects: int) -> tuple[float, float, int]:
    """CPU seconds, peak memory in MB and number of jobs of a dry run on an empty folder."""
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    config["recordings"] = {"mouse1": {"path": "mouse1", "frames": [0, frames]}}
    config["objects"]["count"] = objects
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "config.yaml").write_text(yaml.safe_dump(config))
        command = [
            sys.executable,
            "-m",
            "snakemake",
            "-s",
            str(ROOT / "Snakefile"),
            "-d",
            folder,
            "-n",
            "--quiet",
            "host",
        ]
        with open(Path(folder) / "out", "w+") as out:
            process = subprocess.Popen(command, stdout=out, stderr=out)
            _, status, usage = os.wait4(process.pid, 0)
            out.seek(0)
            text = out.read()
    assert status == 0, text[-3000:]
    jobs = int(next(line.split()[1] for line in text.splitlines() if line.startswith("total")))
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, jobs


def main() -> None:
    print(f"{'frames':>8} {'objects':>8} {'jobs':>7} {'CPU s':>7} {'MB':>6}")
    for case in sys.argv[1:] or CASES:
        frames, objects = map(int, case.split(":"))
        seconds, megabytes, jobs = plan(frames, objects)
        print(f"{frames:8d} {objects:8d} {jobs:7d} {seconds:7.1f} {megabytes:6.0f}", flush=True)


if __name__ == "__main__":
    main()
