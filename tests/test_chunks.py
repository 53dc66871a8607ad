import json
import multiprocessing
import os
import signal
import time

import pytest

from mousefacelift.chunks import frame_chunks, read_index, run_chunk
from mousefacelift.errors import DataError


def write_item(name, argument, folder):
    (folder / "value.txt").write_text(str(argument))
    return {"square": argument**2}


def items(count=5):
    return [(f"{i:03d}", i) for i in range(count)]


def test_a_chunk_is_its_items_and_an_index(tmp_path):
    document = run_chunk(tmp_path / "a/index.json", "k", items(), write_item, {"stage": "test"})
    assert read_index(tmp_path / "a/index.json") == document
    assert [row["square"] for row in document["items"]] == [0, 1, 4, 9, 16]
    assert (tmp_path / "a/003/value.txt").read_text() == "3"
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


def _slow(name, argument, folder):
    time.sleep(0.15)
    with open(folder.parents[1] / "calls.txt", "a") as stream:
        stream.write(name + "\n")
    return write_item(name, argument, folder)


def test_a_killed_chunk_goes_on_where_it_was(tmp_path):
    process = multiprocessing.get_context("fork").Process(
        target=run_chunk, args=(tmp_path / "a/index.json", "k", items(6), _slow, {})
    )
    process.start()
    while not (tmp_path / "calls.txt").exists() or len((tmp_path / "calls.txt").read_text().split()) < 3:
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    assert not (tmp_path / "a/index.json").exists()
    run_chunk(tmp_path / "a/index.json", "k", items(6), _slow, {})
    calls = (tmp_path / "calls.txt").read_text().split()
    assert sorted(set(calls)) == [n for n, _ in items(6)] and len(calls) <= 7  # at most the item at work is made twice
    assert len(read_index(tmp_path / "a/index.json")["items"]) == 6


def test_another_key_makes_everything_anew(tmp_path):
    run_chunk(tmp_path / "a/index.json", "k1", items(), write_item, {})
    run_chunk(tmp_path / "a/index.json", "k2", items(2), write_item, {})
    assert sorted(p.name for p in (tmp_path / "a").iterdir()) == ["000", "001", "index.json"]


def test_a_failing_item_keeps_the_others_and_the_old_chunk(tmp_path):
    run_chunk(tmp_path / "a/index.json", "k1", items(), write_item, {})

    def fail(name, argument, folder):
        if argument == 3:
            raise ValueError("no")
        return write_item(name, argument, folder)

    with pytest.raises(ValueError):
        run_chunk(tmp_path / "a/index.json", "k2", items(), fail, {})
    assert json.loads((tmp_path / "a/index.json").read_text())["key"] == "k1"
    assert sorted(p.name for p in (tmp_path / ".a.k2.work").iterdir() if not p.name.startswith(".")) == [
        "000",
        "001",
        "002",
    ]


def test_two_writers_of_one_chunk_are_refused(tmp_path):
    def again(name, argument, folder):
        run_chunk(tmp_path / "a/index.json", "k", items(1), write_item, {})

    with pytest.raises(DataError, match="another process"):
        run_chunk(tmp_path / "a/index.json", "k", items(1), again, {})


def test_frame_chunks_cover_every_frame_once():
    chunks = frame_chunks(0, 100, 3, 10)
    assert [f for _, frames in chunks for f in frames] == list(range(0, 100, 3))
    assert chunks[0][0] == "000000-000027" and len(chunks[-1][1]) == 4
