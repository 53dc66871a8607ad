import os

import pytest

from mousefacelift.inputs import describe, recording_files


@pytest.fixture
def folder(tmp_path):
    for name in ("videos/0.mp4", "masks/0.mp4", "calibration.toml", "notes.md", ".hidden.mp4", "results/x.mp4"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"123")
    recording_files.cache_clear()
    yield tmp_path
    recording_files.cache_clear()


def files_of(folder):
    recording_files.cache_clear()
    return recording_files(str(folder))


def test_videos_masks_and_calibration_are_told_and_nothing_else(folder):
    assert sorted(files_of(folder)) == ["calibration.toml", "masks/0.mp4", "videos/0.mp4"]
    assert files_of(folder) == files_of(folder) and files_of(folder / "none") == {}


def test_a_replaced_file_is_told_even_with_the_old_time_or_the_old_size(folder):
    before, path = files_of(folder), folder / "videos/0.mp4"
    time = path.stat().st_mtime_ns
    path.write_bytes(b"1234")
    os.utime(path, ns=(time, time))
    assert {k for k, v in files_of(folder).items() if before[k] != v} == {"videos/0.mp4"}
    path.write_bytes(b"123")
    os.utime(path, ns=(time - 1, time - 1))
    assert {k for k, v in files_of(folder).items() if before[k] != v} == {"videos/0.mp4"}


def test_a_folder_of_many_pictures_is_one_entry(folder):
    for number in range(100):
        (folder / f"masks/{number:03d}.png").write_bytes(b"12")
    facts = files_of(folder)
    assert len(facts) == 3 and facts["masks/*"].startswith("101 files, 203 bytes, ")
    (folder / "masks/050.png").write_bytes(b"21")
    os.utime(folder / "masks/050.png", ns=(2**62, 2**62))
    assert files_of(folder)["masks/*"] != facts["masks/*"]


def test_a_missing_file_is_told(tmp_path):
    assert describe([tmp_path / "none"]) == "missing"
