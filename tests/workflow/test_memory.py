"""The table of peak memories finds the rule that took more than it asked for."""

import pytest

from benchmarks import memory
from tests.rules import declared_stages

HEADER = "s\th:m:s\tmax_rss\tmax_vms\n"


def write(results, name, peak, seconds=1.0):
    path = results / "benchmarks" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(HEADER + f"{seconds}\t0:00:01\t{peak}\t9\n")


def test_every_rule_asks_for_memory():
    assert set(memory.asked_memory()) == set(declared_stages())


def test_a_rule_that_took_more_than_it_asks_for_is_named(tmp_path, monkeypatch, capsys):
    asked = memory.asked_memory()
    write(tmp_path, "locate_animal/mouse1.tsv", asked["locate_animal"] - 1)
    write(tmp_path, "split_frames.tsv", "-")
    monkeypatch.setattr("sys.argv", ["memory.py", "--results", str(tmp_path)])
    memory.main()
    assert "100%" in capsys.readouterr().out
    write(tmp_path, "normalise_frames/mouse1/000000-000031.tsv", 5)
    write(tmp_path, "normalise_frames/mouse1/000032-000047.tsv", asked["normalise_frames"] + 1)
    with pytest.raises(SystemExit, match="more than they ask for: normalise_frames$"):
        memory.main()


def test_results_without_benchmarks_are_said_to_have_none(tmp_path, monkeypatch):
    monkeypatch.setattr("sys.argv", ["memory.py", "--results", str(tmp_path)])
    with pytest.raises(SystemExit, match="no benchmark"):
        memory.main()
