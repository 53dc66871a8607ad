import json
import multiprocessing
import os
import signal
import threading
import time
import tracemalloc

import pytest

from mousefacelift.chunks import code_of, frame_chunks, read_index, run_chunk
from mousefacelift.errors import ConfigError, DataError


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
    before = run_chunk(tmp_path / "a/index.json", "k1", items(), write_item, {})

    def fail(name, argument, folder):
        if argument == 3:
            raise ValueError("no")
        return write_item(name, argument, folder)

    with pytest.raises(ValueError):
        run_chunk(tmp_path / "a/index.json", "k2", items(), fail, {})
    assert read_index(tmp_path / "a/index.json") == before
    (work,) = tmp_path.glob(".a.*.work")
    assert sorted(p.name for p in work.iterdir() if not p.name.startswith(".")) == ["000", "001", "002"]


def test_two_writers_of_one_chunk_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("mousefacelift.locks.WAIT_S", 0.1)
    found = []

    def again(name, argument, folder):
        def other():
            try:
                run_chunk(tmp_path / "a/index.json", "k", items(1), write_item, {})
            except DataError as error:
                found.append(error)

        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
        return write_item(name, argument, folder)

    run_chunk(tmp_path / "a/index.json", "k", items(1), again, {})
    assert len(found) == 1 and "being written by another process" in str(found[0])


def test_frame_chunks_cover_every_frame_once():
    chunks = frame_chunks(0, 100, 3, 10)
    assert [f for _, frames in chunks for f in frames] == list(range(0, 100, 3))
    assert chunks[0][0] == "000000-000027" and len(chunks[-1][1]) == 4


def tree(folder):
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize("files", [("notes.txt",), ("photos/mouse.png",), ("index.json",), (".hidden",)])
def test_a_folder_with_files_of_others_is_refused_and_untouched(tmp_path, files):
    for name in files:
        (tmp_path / "mydata" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "mydata" / name).write_text('{"precious": 1}')
    before = tree(tmp_path)
    with pytest.raises(DataError, match="holds files that no run of this command wrote"):
        run_chunk(tmp_path / "mydata/index.json", "k", items(), write_item, {})
    assert tree(tmp_path) == before


@pytest.mark.parametrize("place", ["a/notes.txt", "a/002/notes.txt"])
@pytest.mark.parametrize("index", [True, False], ids=["finished", "index removed by snakemake"])
def test_a_file_added_to_an_old_chunk_is_not_lost(tmp_path, place, index):
    run_chunk(tmp_path / "a/index.json", "k", items(), write_item, {})
    (tmp_path / place).write_text("mine")
    if not index:
        (tmp_path / "a/index.json").unlink()
    with pytest.raises(DataError, match="notes.txt"):
        run_chunk(tmp_path / "a/index.json", "k2", items(), write_item, {})
    assert (tmp_path / place).read_text() == "mine" and (tmp_path / "a/003/value.txt").exists()


def test_a_file_added_while_the_chunk_is_made_is_not_lost(tmp_path):
    def meddle(name, argument, folder):
        (tmp_path / "a").mkdir(exist_ok=True)
        (tmp_path / "a/late.txt").write_text("mine")
        return write_item(name, argument, folder)

    with pytest.raises(DataError, match="late.txt"):
        run_chunk(tmp_path / "a/index.json", "k", items(1), meddle, {})
    assert (tmp_path / "a/late.txt").read_text() == "mine"


def test_an_old_chunk_is_replaced_with_its_extra_files_or_without_an_index(tmp_path):
    extra = {"facts.txt": lambda folder, rows: f"{len(rows)} in {len(list(folder.iterdir()))}"}
    run_chunk(tmp_path / "a/index.json", "k", items(), write_item, {}, extra=extra)
    assert (tmp_path / "a/facts.txt").read_text() == "5 in 5"
    (tmp_path / "a/index.json").unlink()
    (tmp_path / "a/.DS_Store").write_text("litter")
    run_chunk(tmp_path / "a/index.json", "k", items(2), write_item, {}, extra=extra)
    assert sorted(p.name for p in (tmp_path / "a").iterdir()) == ["000", "001", "facts.txt", "index.json"]


@pytest.mark.parametrize(
    "name", ["..", ".", "", "/x/y", "a/b", "a\\b", ".a", "a\n", "a\0b", 7, "index.json", "x" * 300]
)
def test_names_that_lead_elsewhere_are_refused_before_anything_is_removed(tmp_path, name):
    (tmp_path / "a").mkdir()
    (tmp_path / "keep.txt").write_text("mine")
    before = tree(tmp_path)
    with pytest.raises(DataError):
        run_chunk(tmp_path / "b/index.json", "k", [("000", 0), (name, 1)], write_item, {})
    assert tree(tmp_path) == before


def test_two_items_of_one_name_are_refused(tmp_path):
    with pytest.raises(DataError, match="called '001'"):
        run_chunk(tmp_path / "b/index.json", "k", [("001", 0), ("001", 1)], write_item, {})


def test_an_index_with_a_name_that_leads_elsewhere_is_not_read(tmp_path):
    (tmp_path / "index.json").write_text(json.dumps({"key": "", "header": {}, "items": [{"name": "../other"}]}))
    with pytest.raises(DataError, match="no folder name"):
        read_index(tmp_path / "index.json")


@pytest.mark.parametrize("out", ["index.json", "../index.json", "a/other.json"])
def test_the_working_directory_is_no_chunk(tmp_path, monkeypatch, out):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    with pytest.raises(ConfigError, match="cannot be a chunk"):
        run_chunk(out, "k", items(), write_item, {})


def test_the_unfinished_work_of_a_neighbour_is_kept(tmp_path):
    work = tmp_path / ".a.b.k.work"  # of chunk `a.b`
    work.mkdir()
    run_chunk(tmp_path / "a/index.json", "k", items(1), write_item, {})
    assert work.is_dir()


def test_a_chunk_behind_a_symbolic_link_is_replaced_where_it_lies(tmp_path):
    run_chunk(tmp_path / "disk/a/index.json", "k", items(1), write_item, {})
    (tmp_path / "a").symlink_to(tmp_path / "disk/a")
    run_chunk(tmp_path / "a/index.json", "k", items(3), write_item, {})
    assert (tmp_path / "a").is_symlink() and len(read_index(tmp_path / "disk/a/index.json")["items"]) == 3
    assert sorted(p.name for p in (tmp_path / "disk").iterdir()) == ["a"]


def test_what_another_version_of_the_code_left_unfinished_is_not_used(tmp_path, monkeypatch):
    def die(name, argument, folder):
        if argument == 2:
            raise KeyboardInterrupt
        return write_item(name, argument, folder) | {"by": "old"}

    def fresh(name, argument, folder):
        return write_item(name, argument, folder)

    for version, make in (("old", die), ("new", fresh)):
        monkeypatch.setattr("mousefacelift.chunks.code_version", lambda modules, version=version: version)
        make.__module__ = "mousefacelift.somewhere"
        try:
            run_chunk(tmp_path / "a/index.json", "k", items(), make, {})
        except KeyboardInterrupt:
            continue
    assert not any("by" in row for row in read_index(tmp_path / "a/index.json")["items"])


def test_the_code_of_a_chunk_is_that_of_the_function_that_makes_its_items():
    from functools import partial

    from mousefacelift.core.provenance import code_version
    from mousefacelift.lrm.predict import make_prediction

    version = code_version(("mousefacelift.lrm.predict",))
    assert code_of(partial(make_prediction, size=3)) == version != code_version(("mousefacelift.chunks",))


def test_unfinished_work_from_a_file_that_was_replaced_is_not_used_and_the_key_knows_no_times(tmp_path):
    def die(name, argument, folder):
        if argument == 2:
            raise KeyboardInterrupt
        return write_item(name, argument, folder) | {"by": "old"}

    with pytest.raises(KeyboardInterrupt):
        run_chunk(tmp_path / "a/index.json", "k", items(), die, {}, sources={"video.mp4": "3 bytes, 12:00"})
    with_times = run_chunk(tmp_path / "a/index.json", "k", items(), write_item, {}, sources={"video.mp4": "4 bytes"})
    assert not any("by" in row for row in with_times["items"])
    assert with_times == run_chunk(tmp_path / "b/index.json", "k", items(), write_item, {})
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a", "b"]


def test_rows_that_are_not_kept_give_the_same_index_and_are_not_held(tmp_path):
    def make(name, argument, folder):
        return write_item(name, argument, folder) | {"text": f"{name} " * 20_000}

    kept = run_chunk(tmp_path / "a/index.json", "k", items(60), make, {"stage": "test"})
    tracemalloc.start()
    lean = run_chunk(tmp_path / "b/index.json", "k", items(60), make, {"stage": "test"}, keep_rows=False)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (tmp_path / "a/index.json").read_bytes() == (tmp_path / "b/index.json").read_bytes()
    assert peak < 1.5e6 < len((tmp_path / "b/index.json").read_bytes())
    assert len(lean["items"]) == 60 and [*lean["items"]] == kept["items"] and lean["header"] == kept["header"]
