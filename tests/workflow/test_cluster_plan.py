"""The plan of a large run multiplies what a small one took."""

import pytest

from benchmarks.cluster_plan import START_S, plan

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
    assert located["hours"] * 3600 == pytest.approx(START_S + 100 * (13.5 - START_S))
    assert rows["train_lrm"]["hours"] * 3600 == pytest.approx(100)
