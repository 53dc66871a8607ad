"""Builds that fail: two writers, damaged samples, a full disk; the old dataset stays."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest

from mousefacelift.chunks import read_index
from mousefacelift.dataset.build import build_dataset
from mousefacelift.dataset.manifest import Manifest
from mousefacelift.dataset.verify import verify_dataset
from mousefacelift.errors import DataError
from tests.dataset.conftest import CONFIG, QUICK, rig_cameras, toy_sample, write_chunk


def test_two_writers_at_once_are_refused(toy_chunks, tmp_path, monkeypatch):
    monkeypatch.setattr("mousefacelift.locks.WAIT_S", 0.1)
    indexes, splits = toy_chunks
    code = (
        "import sys; from mousefacelift.locks import one_writer\n"
        "with one_writer(sys.argv[1]): print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "d")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout.readline().strip() == "held"
        with pytest.raises(DataError, match="being written by another process"):
            build_dataset(indexes, splits, tmp_path / "d", QUICK)
        other.stdin.close()


def test_the_same_frame_twice_is_refused(toy_chunks, tmp_path):
    indexes, splits = toy_chunks
    again = write_chunk(tmp_path / "again", {"000003": toy_sample(rig_cameras(32), frame=3)})
    with pytest.raises(DataError, match="twice"):
        build_dataset([indexes[0], again], splits, tmp_path / "dataset", QUICK)


@pytest.mark.parametrize("fault", ["zeros", "text", "bytes"])
def test_one_damaged_sample_is_refused_by_name_and_the_others_are_listed(toy_chunks, tmp_path, fault, capsys):
    indexes, splits = toy_chunks
    chunk = tmp_path / "real" / "000000-000023"
    shutil.copytree(indexes[0].parent, chunk)
    broken = chunk / "000004/opencv_cameras.json"
    broken.write_bytes({"zeros": bytes(500), "text": b"{", "bytes": b"\xff\xfe"}[fault])
    header = build_dataset([chunk / "index.json"], splits, tmp_path / "dataset", QUICK)
    assert header["counts"]["samples"] == 23 and len(header["damaged"]) == 1
    assert str(broken) in header["damaged"][0] and str(broken) in capsys.readouterr().err
    assert Manifest.open(tmp_path / "dataset").header["damaged"] == header["damaged"]


@pytest.mark.parametrize(
    "fault, message",
    [
        ("truncated", "cut short"),
        ("sixteen", "16-bit"),
        ("no_alpha", "no alpha"),
        ("other_size", "differ in size"),
        ("missing", "cannot be read"),
        ("flipped_byte", "cannot be decoded"),
        ("swapped_files", "not those that were written"),
    ],
)
def test_damaged_images_are_named_and_nothing_is_written(toy_chunks, tmp_path, fault, message):
    import cv2

    sample = toy_sample(rig_cameras(32), frame=0)
    index = write_chunk(tmp_path / "chunk", {"000000": sample})
    path = tmp_path / "chunk" / "000000" / "images" / "cam_001.png"
    document = tmp_path / "chunk" / "000000" / "opencv_cameras.json"
    pixels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if fault == "truncated":
        path.write_bytes(path.read_bytes()[:-40])
    elif fault == "sixteen":
        cv2.imwrite(str(path), pixels.astype(np.uint16) * 257)
    elif fault == "no_alpha":
        cv2.imwrite(str(path), pixels[..., :3])
    elif fault == "other_size":
        cv2.imwrite(str(path), cv2.resize(pixels, (16, 16)))
        frames = json.loads(document.read_text())
        [frame.pop("hash") for frame in frames["frames"]]
        document.write_text(json.dumps(frames))
    elif fault == "flipped_byte":  # in the packed pixels of a file without a recorded hash
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(bytes(data))
        frames = json.loads(document.read_text())
        [frame.pop("hash") for frame in frames["frames"]]
        document.write_text(json.dumps(frames))
    elif fault == "missing":
        path.unlink()
    else:
        other = path.with_name("cam_002.png")
        first, second = path.read_bytes(), other.read_bytes()
        path.write_bytes(second)
        other.write_bytes(first)
    with pytest.raises(DataError, match=message):
        build_dataset([index], toy_chunks[1], tmp_path / "dataset", QUICK)
    assert not (tmp_path / "dataset" / "dataset.json").exists()


FULL_DISK = """
import json, resource, signal, sys
from pathlib import Path
from mousefacelift.core.splits import Splits
from mousefacelift.dataset.build import build_dataset
from mousefacelift.dataset.config import DatasetConfig, GateConfig
from mousefacelift.errors import DataError

indexes, splits, out, limit = json.loads(sys.argv[1])
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # the kernel then refuses to write on, in the middle of a file
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
try:
    build_dataset([Path(index) for index in indexes], Splits.read(splits), Path(out),
                  DatasetConfig(gate=GateConfig(mask_size=32)))
except DataError as error:
    print(error)
    sys.exit(2)
"""


def build_limited(indexes, splits, out, limit):
    """The build in a process whose files cannot grow beyond `limit` bytes."""
    path = out.parent / "limited.json"
    splits.write(path)
    arguments = json.dumps([[str(index) for index in indexes], str(path), str(out), limit])
    return subprocess.run([sys.executable, "-c", FULL_DISK, arguments], capture_output=True, text=True)


@pytest.mark.parametrize("limit", [2_000, 16_000])  # of which the first is met in a part, the second in a table
def test_a_disk_that_is_full_in_the_middle_of_a_write_leaves_the_old_dataset(built, toy_chunks, tmp_path, limit):
    out = tmp_path / "dataset"
    indexes = sorted(built.glob("*/*/index.json"))
    build_dataset(indexes[:1], toy_chunks[1], out, QUICK)
    verify_dataset(out)
    before = {p.name: p.read_bytes() for p in out.iterdir() if p.is_file()}
    if limit > 2_000:  # the parts are there
        build_dataset(indexes, toy_chunks[1], tmp_path / "other", QUICK)
        shutil.copytree(tmp_path / "other" / "parts", out / "parts", dirs_exist_ok=True)
    run = build_limited(indexes, toy_chunks[1], out, limit)
    assert run.returncode == 2 and "cannot be written" in run.stdout and "full disk" in run.stdout, run.stderr
    assert {p.name: p.read_bytes() for p in out.iterdir() if p.is_file()} == before
    assert len(Manifest.open_verified(out)) == len(read_index(indexes[0])["items"])
    build_dataset(indexes, toy_chunks[1], out, QUICK)  # space is there again
    assert len(Manifest.open(out)) == 38


def test_two_builds_at_once_end_with_one_whole_dataset(built, toy_chunks, tmp_path):
    toy_chunks[1].write(tmp_path / "splits.json")
    indexes = map(str, sorted(built.glob("*/*/index.json")))
    command = [
        sys.executable,
        "-m",
        "mousefacelift",
        "dataset",
        "build",
        "--index",
        *indexes,
        "--splits",
        str(tmp_path / "splits.json"),
        "--out",
        str(tmp_path / "dataset"),
        "--config-json",
        CONFIG,
    ]
    runs = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    ends = [run.communicate() for run in runs]
    assert [run.returncode for run in runs] == [0, 0], ends  # the second waits for the first
    assert verify_dataset(tmp_path / "dataset")["passed"] and not list((tmp_path / "dataset").glob(".*.tmp"))
