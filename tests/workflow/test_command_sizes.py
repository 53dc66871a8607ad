"""No shell command grows with the number of chunks: Linux gives one command 131,072 bytes, some 2,000 paths."""

import re

from tests.rules import declared_stages

from .test_plan import snakemake, write_config

AT_MOST = 4  # a chunk's own input, the chunks of two stages before it, its output and its log


def test_no_shell_command_of_any_rule_names_many_chunks(tmp_path):
    sizes = ("jobs.frames_per_job", 2), ("jobs.objects_per_job", 2), ("prior.data.chunk", 100)
    recordings = {"m": {"path": "virtual"}, "rat1": {"path": "/data/rat1", "frames": [0, 48]}}
    own = ("loader.store", "shards"), ("recordings", recordings), ("capture.mask_backend", "median")
    write_config(tmp_path, [*sizes, *own])
    (tmp_path / "assets").mkdir()
    (tmp_path / "assets/box.obj").write_text("")
    targets = "all", "sweep", "embed", "prior", "experiment", "ingredients"
    run = snakemake(tmp_path, *targets, "-n", "-p", "--config", f"assets={tmp_path / 'assets'}")
    assert run.returncode == 0, run.stderr[-2000:]
    jobs = re.findall(r"^Shell command: (python -m mousefacelift (\w+ \w+) .*2>&1)$", run.stdout + run.stderr, re.M)
    named: dict[str, int] = {}
    for text, command in jobs:
        named[command] = max(named.get(command, 0), len(re.findall(r"\b\d{6}-\d{6}\b", text)))
    known = {" ".join(command) for _, _, _, command in declared_stages().values()}
    assert known - set(named) == set(), "rules whose commands this test has not seen"
    assert max(named.values()) > 0
    assert {command: count for command, count in named.items() if count > AT_MOST} == {}
