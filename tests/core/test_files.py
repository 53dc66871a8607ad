import errno
import json
import math
import os
import re
import resource
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import save_file

import mousefacelift
from mousefacelift.cli import main
from mousefacelift.core import files
from mousefacelift.core.files import (
    json_by_rows,
    json_text,
    nulls_as_nan,
    read_json,
    read_npz,
    read_parquet,
    read_safetensors,
    replace_folder,
    via,
    write_text,
)
from mousefacelift.core.remake import remake_hint
from mousefacelift.errors import DataError

SHAPE = {"name": str, "count": int, "score": float, "rows": [{"id": int, "note?": (str, None)}], "more": ...}
GOOD = {"name": "a", "count": 2, "score": 1, "rows": [{"id": 1}, {"id": 2, "note": None}], "more": [1]}


def test_a_file_of_the_right_shape_is_read(tmp_path):
    write_text(tmp_path / "new/a.json", json.dumps(GOOD))
    assert read_json(tmp_path / "new/a.json", SHAPE) == GOOD


@pytest.mark.parametrize(
    "change, words",
    [
        ({"name": 3}, "'name' is 3, expected str"),
        ({"count": True}, "'count' is true, expected int"),
        ({"score": float("nan")}, "'score' is NaN, expected float"),
        ({"rows": {}}, "'rows' is {}, expected a list"),
        ({"rows": [{"id": 1}, {}]}, "key 'rows[1].id' is missing"),
        ({"rows": [{"id": 1, "note": 4}]}, "'rows[0].note' is 4, expected str"),
    ],
)
def test_another_shape_is_named_at_its_place(tmp_path, change, words):
    write_text(tmp_path / "a.json", json.dumps(GOOD | change))
    with pytest.raises(DataError) as error:
        read_json(tmp_path / "a.json", SHAPE, "index")
    assert words in str(error.value) and str(error.value).startswith(f"index {tmp_path / 'a.json'} cannot be read")


@pytest.mark.parametrize("data", [b"", b"\0" * 99, b'{"name": ', b"\xff\xfe{}", b"[" * 100_000])
def test_damaged_files_of_every_kind_are_data_errors(tmp_path, data):
    path = tmp_path / "a"
    path.write_bytes(data)
    for reader in (read_json, lambda p: read_npz(p, {"x": (3,)}), read_parquet, read_safetensors):
        with pytest.raises(DataError, match="cannot be read"):
            reader(path)
    with pytest.raises(DataError, match="no such file"):
        read_json(tmp_path / "none.json")


def test_arrays_tables_and_weights_are_read_and_their_faults_named(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.ones((4, 3)), y=np.array([1.0, np.nan]), z=np.array([{}], object))
    assert read_npz(tmp_path / "a.npz", {"x": (None, 3)})["x"].shape == (4, 3)
    for shapes, words in (({"x": (4, 2)}, "'x' is float64"), ({"y": (2,)}, "not finite"), ({"z": (1,)}, "pickle")):
        with pytest.raises(DataError, match=words):
            read_npz(tmp_path / "a.npz", shapes)
    with pytest.raises(DataError, match="w is not a file"):
        read_npz(tmp_path / "a.npz", {"w": (1,)})
    pd.DataFrame({"a": [1]}).to_parquet(tmp_path / "t.parquet")
    assert read_parquet(tmp_path / "t.parquet", ["a"]).num_rows == 1
    with pytest.raises(DataError, match="column 'b' is missing"):
        read_parquet(tmp_path / "t.parquet", ["b"])
    save_file({"w": torch.ones(3)}, tmp_path / "w.safetensors")
    assert read_safetensors(tmp_path / "w.safetensors")["w"].sum() == 3
    data = (tmp_path / "w.safetensors").read_bytes()
    (tmp_path / "w.safetensors").write_bytes(data[:-4])
    with pytest.raises(DataError, match="w.safetensors cannot be read"):
        read_safetensors(tmp_path / "w.safetensors")


def test_a_relative_path_holds_where_folders_are_symbolic_links(tmp_path):
    for name in ("disk/a/results/predict", "run/capture/000001"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "run/predict").symlink_to(tmp_path / "disk/a/results/predict")
    found = files.relative_path(tmp_path / "run/capture/000001", tmp_path / "run/predict")
    assert (tmp_path / "run/predict" / found).resolve() == tmp_path / "run/capture/000001"


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    write_text(tmp_path / "a.txt", "old")
    with pytest.raises(DataError, match="cannot be written"):
        with via(tmp_path / "a.txt") as temporary:
            temporary.write_text("new")
            raise OSError("disk full")
    with pytest.raises(KeyError):
        with via(tmp_path / "a.txt") as temporary:
            raise KeyError
    assert (tmp_path / "a.txt").read_text() == "old" and os.listdir(tmp_path) == ["a.txt"]


def test_what_a_killed_writer_left_is_removed_by_the_next_and_a_living_one_is_let_alone(tmp_path):
    code = (
        "import sys, time; from mousefacelift.core.files import via\n"
        "with via(sys.argv[1]) as p: p.write_text('half'); print('x', flush=True); time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "a.txt")], stdout=subprocess.PIPE, text=True)
    process.stdout.readline()
    write_text(tmp_path / "a.txt", "mine")
    assert len(os.listdir(tmp_path)) == 2
    process.send_signal(signal.SIGKILL)
    process.wait()
    write_text(tmp_path / "a.txt", "mine")
    assert os.listdir(tmp_path) == ["a.txt"]


def test_everything_is_on_the_disk_before_it_gets_its_name(tmp_path, monkeypatch):
    """A power cut after the rename must not leave an empty file: every file and folder is forced to disk before."""
    order, real_sync, real_replace = [], os.fsync, os.replace

    def note_sync(descriptor):
        order.append(("sync", os.readlink(f"/proc/self/fd/{descriptor}")))
        real_sync(descriptor)

    def note_replace(old, new):
        order.append(("rename", str(old)))
        real_replace(old, new)

    monkeypatch.setattr(files.os, "fsync", note_sync)
    monkeypatch.setattr(files.os, "replace", note_replace)
    write_text(tmp_path / "a.txt", "text")
    assert [kind for kind, _ in order] == ["sync", "rename", "sync"] and order[0][1] == order[1][1]
    (tmp_path / "new/inner").mkdir(parents=True)
    (tmp_path / "new/inner/b.txt").write_text("text")
    order.clear()
    replace_folder(tmp_path / "new", tmp_path / "target")
    rename = order.index(("rename", str(tmp_path / "new")))
    assert {("sync", str(tmp_path / "new/inner/b.txt")), ("sync", str(tmp_path / "new/inner"))} <= set(order[:rename])


def test_what_a_replacement_killed_before_it_removed_the_old_folder_left_goes_with_the_next(tmp_path, monkeypatch):
    for name in ("target", "new"):
        (tmp_path / name).mkdir()
    (tmp_path / "target/a.txt").write_text("old")
    with monkeypatch.context() as patch:
        patch.setattr(files.shutil, "rmtree", lambda *args, **kwargs: None)  # the kill
        replace_folder(tmp_path / "new", tmp_path / "target")
    (left,) = tmp_path.glob(".target.*.old")
    left.rename(tmp_path / ".target.123.old")  # of another process
    for name in (".target.more.old", ".target2.1.old", "new"):
        (tmp_path / name).mkdir()
    replace_folder(tmp_path / "new", tmp_path / "target")
    assert {path.name for path in tmp_path.iterdir()} == {"target", ".target.more.old", ".target2.1.old"}


@pytest.mark.parametrize(
    "path, command",
    [
        ("results/splats/m/fits/000000-000015/000003/splat.npz", "results/splats/m/fits/000000-000015/index.json"),
        ("results/objects/scans/m/000000-000015/index.json", "results/objects/scans/m/000000-000015/index.json"),
        ("results/train/80-20/config.json", "results/train/80-20/model.safetensors"),
        ("results/distill/generator/gate.json", "results/distill/generator/generator.json"),
        ("results/dataset/views.parquet", "results/dataset/dataset.json"),
        ("results/dataset/splits.json", "results/dataset/splits.json"),
        (
            "results/evaluate/80-20/predictions/A-m-000003/images/cam_000.png",
            "results/evaluate/80-20/predictions/index",
        ),
        ("results/capture/m/rig.json", "results/capture/m/rig.json"),
    ],
)
def test_the_hint_asks_for_the_output_that_stands_for_a_file(path, command):
    assert f"-f {command}" in remake_hint(path)
    assert f"-d /data/run -f {command}" in remake_hint(f"/data/run/{path}")


def test_a_file_outside_results_has_no_rule():
    assert "snakemake" not in remake_hint("shown/splat.npz")


def test_json_by_rows_is_the_same_document_an_entry_of_a_list_a_line():
    document = {"id": "Maus \u00e4", "empty": [], "meta": {"a": [1.5, None]}, "frames": [{"w": 2}, [1, 2], "x"]}
    text = json_by_rows(document)
    assert json.loads(text) == document and list(json.loads(text)) == list(document)
    assert len(text.splitlines()) == 2 + 3 + 2 + 3  # braces, three short values, the list's brackets, its entries


@contextmanager
def full_disk(size):
    """No file of this process grows beyond `size` bytes, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)


ROWS = np.random.default_rng(0).random(50_000)
WRITERS = {
    "torch": lambda path: torch.save({"a": torch.from_numpy(ROWS)}, path),
    "safetensors": lambda path: save_file({"a": torch.from_numpy(ROWS)}, path),
    "npy": lambda path: np.save(path, ROWS),
    "npz": lambda path: np.savez(path, a=ROWS),
    "parquet": lambda path: pd.DataFrame({"a": ROWS}).to_parquet(path),
    "text": lambda path: path.write_text("a" * 50_000),
}


@pytest.mark.parametrize("name", WRITERS)
def test_a_full_disk_is_told_whatever_library_writes(tmp_path, name):
    """torch, safetensors and numpy say neither the system's number nor its words."""
    path = tmp_path / f"a.{name}"
    path.write_text("old")
    with full_disk(20_000), pytest.raises(DataError, match="full disk"), via(path) as temporary:
        WRITERS[name](temporary)
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    "error", [OSError(errno.ENOSPC, "No space left on device"), PermissionError(errno.EACCES, "denied", "/a/b")]
)
def test_a_command_ends_with_a_message_where_the_system_refuses_a_file(tmp_path, monkeypatch, capsys, error):
    def refuse(args):
        raise error

    monkeypatch.setattr("mousefacelift.report.commands._build", refuse)
    assert main(["report", "build", "--out", str(tmp_path / "page.html")]) == 2
    said = capsys.readouterr().err
    assert said.startswith("DataError: file ") and ("page.html" in said or "/a/b" in said)


def test_an_error_of_the_code_keeps_its_traceback(monkeypatch, tmp_path):
    def fail(args):
        raise RuntimeError("a bug")

    monkeypatch.setattr("mousefacelift.report.commands._build", fail)
    with pytest.raises(RuntimeError, match="a bug"):
        main(["report", "build", "--out", str(tmp_path / "page.html")])
    with pytest.raises(RuntimeError, match="a bug"), via(tmp_path / "a") as temporary:
        temporary.write_text("new")
        raise RuntimeError("a bug")


def strictly(text):
    """Parsed as JavaScript does: NaN and Infinity are no JSON."""

    def refuse(word):
        raise ValueError(f"{word} is no JSON")

    return json.loads(text, parse_constant=refuse)


def test_numbers_that_are_not_finite_become_null():
    document = {"a": math.nan, "b": [1.5, -math.inf, {"c": np.float64("nan")}], "d": ("x", None, True, 3)}
    assert json_text({"K": np.array([math.inf, 1])}, default=np.ndarray.tolist) == '{"K": [null, 1.0]}'
    assert strictly(json_text(document)) == {"a": None, "b": [1.5, None, {"c": None}], "d": ["x", None, True, 3]}
    assert json_text({"a": 0.1, "b": [1, "\u00fc"]}, indent=1) == json.dumps({"a": 0.1, "b": [1, "\u00fc"]}, indent=1)
    assert strictly(json_by_rows({"key": math.nan, "items": [{"x": math.inf}, {"x": 1}]}))["items"] == [
        {"x": None},
        {"x": 1},
    ]
    back = nulls_as_nan(strictly(json_text({"a": math.nan, "b": [1.0, None], "c": "x"})))
    assert math.isnan(back["a"]) and math.isnan(back["b"][1]) and (back["b"][0], back["c"]) == (1.0, "x")


def test_json_is_written_by_one_function():
    """Only `core.files` and `core.json_parts` call json's own writers; elsewhere its text goes into no file."""
    inside = {"config.py", "workflow.py", "schema.py", "core/files.py", "core/json_parts.py"}
    inside |= {"capture/readers/sleap_slp.py"}  # compares two texts
    package = Path(mousefacelift.__file__).parent
    writers = {
        path.relative_to(package).as_posix()
        for path in package.rglob("*.py")
        if re.search(r"\bjson\.dumps?\(|\bfrom json import", path.read_text())
    }
    assert writers == inside
