"""The cost of a large run, and chunks as archives."""

import json
import tarfile

import pytest

from mousefacelift.errors import DataError
from mousefacelift.objects.pack import pack_chunk
from mousefacelift.objects.plan import describe_plan, plan_run


def write_index(folder, rows):
    folder.mkdir(parents=True)
    (folder / "index.json").write_text(json.dumps({"key": "k", "header": {}, "items": rows}))
    return folder / "index.json"


def test_cost_is_the_mean_of_what_was_done(tmp_path):
    done = [{"name": str(k), "status": "done", "total_s": s, "mb": 2.0, "views": 32} for k, s in enumerate((2.0, 4.0))]
    index = write_index(tmp_path / "a", [*done, {"name": "2", "status": "refused", "reason": "x", "views": 0}])
    plan = plan_run([index], 1200, 2, 0.5)
    assert plan["core_hours"] == pytest.approx(2.0) and plan["disk_gb"] == pytest.approx(2.4)
    assert plan["objects_per_job"] == 600 and plan["jobs"] == 2 and plan["files"] == 1200 * 33
    assert "2 jobs of 600" in describe_plan(plan)
    with pytest.raises(DataError, match="no finished object"):
        plan_run([write_index(tmp_path / "b", [])], 10, 2, 1)


def test_a_packed_chunk_unpacks_to_the_same_files_and_packs_to_the_same_bytes(tmp_path):
    index = write_index(tmp_path / "chunk", [{"name": "000000"}])
    (tmp_path / "chunk/000000/images").mkdir(parents=True)
    (tmp_path / "chunk/000000/images/cam_000.png").write_bytes(b"picture")
    assert pack_chunk(index, tmp_path / "a.tar") == 2
    pack_chunk(index, tmp_path / "b.tar")
    assert (tmp_path / "a.tar").read_bytes() == (tmp_path / "b.tar").read_bytes()
    with tarfile.open(tmp_path / "a.tar") as archive:
        archive.extractall(tmp_path / "out", filter="data")
    assert (tmp_path / "out/000000/images/cam_000.png").read_bytes() == b"picture"
