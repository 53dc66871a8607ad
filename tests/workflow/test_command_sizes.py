"""No shell command grows with the number of chunks: Linux gives one command 131,072 bytes, some 2,000 paths."""

import re

from tests.rules import declared_stages

from .test_plan import snakemake, write_config

AT_MOST = 4  # a chunk's own input, the chunks of two stages before it, its output and its log


def test_no_shell_command_of_any_rule_names_many_chunks(tmp_path):
    sizes = ("jobs.frames_per_job", 2), ("jobs.objects_per_job", 2), ("prior.data.chunk", 100)
    write_config(tmp_path, [*sizes, ("loader.store", "shards"), ("recordings", {"m": {"path": "virtual"}})])
    run = snakemake(tmp_path, "all", "sweep", "embed", "prior", "experiment", "-n", "-p")
    assert run.returncode == 0, run.stderr[-2000:]
    jobs = re.findall(r"^Shell command: (python -m mousefacelift (\w+ \w+) .*2>&1)$", run.stdout + run.stderr, re.M)
    named: dict[str, int] = {}
    for text, command in jobs:
        named[command] = max(named.get(command, 0), len(re.findall(r"\b\d{6}-\d{6}\b", text)))
    known = {" ".join(command) for _, _, _, command in declared_stages().values()}
    assert known - set(named) == set(), "rules whose commands this test has not seen"
    assert max(named.values()) > 0
    assert {command: count for command, count in named.items() if count > AT_MOST} == {}
