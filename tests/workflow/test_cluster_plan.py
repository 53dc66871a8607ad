"""The plan of a large run multiplies what a small one took."""

import pytest

from benchmarks.cluster_plan import LEAST_START_S, START_S, plan

HEADER = "s\th:m:s\tmax_rss\tcpu_time\n"


def write_job(results, name, seconds, used):
    path = results / "benchmarks" / f"{name}.tsv"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(HEADER + f"{seconds}\t0:00:01\t9\t{used}\n")


def write_chunk(results, name, items, size):
    for item in range(items):
        (results / name / f"{item:06d}").mkdir(parents=True)
        (results / name / f"{item:06d}" / "a.png").write_bytes(bytes(size))
    (results / name / "index.json").write_text("{}")


def test_chunks_grow_with_their_items_and_what_is_made_once_does_not(tmp_path):
    for start, stop in ((0, 7), (8, 11)):
        write_chunk(tmp_path, f"capture/m/samples/{start:06d}-{stop:06d}", stop - start + 1, 1000)
        write_job(tmp_path, f"normalise_frames/m/{start:06d}-{stop:06d}", stop - start + 1, 0.5)
    write_chunk(tmp_path, "objects/samples/000000-000003", 4, 3000)
    write_job(tmp_path, "render_objects/000000-000003", 40, 80)
    write_job(tmp_path, "locate_animal/m", 13.5, 3.5)
    write_job(tmp_path, "train_lrm/a", 100, 200)
    rows = {row["rule"]: row for row in plan(tmp_path, 1200, 400)}
    frames, objects, located = rows["normalise_frames"], rows["render_objects"], rows["locate_animal"]
    assert frames["jobs"] == 150 and frames["hours"] * 3600 == pytest.approx(1200)
    assert frames["files"] == 1400 and frames["gb"] == pytest.approx(0.0012, rel=0.01)  # an index a chunk
    assert objects["jobs"] == 100 and objects["cpu_hours"] * 3600 == pytest.approx(8000)
    assert located["hours"] * 3600 == pytest.approx(LEAST_START_S + 100 * (13.5 - LEAST_START_S))
    assert rows["train_lrm"]["hours"] * 3600 == pytest.approx(100)


def test_a_large_run_pays_a_start_for_each_of_its_chunks_and_one_for_what_is_made_once(tmp_path):
    """Jobs that take 5 s to start and 1 s a frame; a short chunk at the end is not what all chunks are like."""
    for start, stop in ((0, 7), (8, 15), (16, 17)):
        frames = stop - start + 1
        write_chunk(tmp_path, f"capture/m/samples/{start:06d}-{stop:06d}", frames, 10)
        write_job(tmp_path, f"normalise_frames/m/{start:06d}-{stop:06d}", 5 + frames, 5 + frames)
    write_job(tmp_path, "build_manifest", START_S["build_manifest"] + 21, 0.4)
    rows = {row["rule"]: row for row in plan(tmp_path, 8000, 0)}
    assert rows["normalise_frames"]["hours"] * 3600 == pytest.approx(1000 * (5 + 8))
    built = rows["build_manifest"]
    assert built["hours"] * 3600 == pytest.approx(START_S["build_manifest"] + 21 * 8000 / 18)
    assert built["cpu_hours"] * 3600 == pytest.approx(0.4)  # all of it was start
