import json

import pytest

from mousefacelift.chunk_lists import expand_lists, leftovers
from mousefacelift.cli import main
from mousefacelift.errors import DataError


@pytest.fixture
def folder(tmp_path):
    for name in ("000000-000006", "000008-000010"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "index.json").write_text(name)
    return tmp_path


def write(folder):
    words = ["--frames", "0:11:2", "--size", "4"]
    return main(["dataset", "list", *words, "--out", str(folder / "chunks.json")])


def test_a_list_stands_for_the_indexes_of_its_chunks_wherever_it_is_moved(folder):
    assert write(folder) == 0
    other = folder.rename(folder.with_name("moved"))
    names = ["000000-000006", "000008-000010"]
    single = other / "single/index.json"
    assert expand_lists([single, other / "chunks.json"]) == [single, *(other / name / "index.json" for name in names)]


def test_a_list_differs_when_a_chunk_does(folder):
    write(folder)
    before = (folder / "chunks.json").read_text()
    write(folder)
    assert (folder / "chunks.json").read_text() == before
    (folder / "000008-000010/index.json").write_text("made again")
    write(folder)
    assert (folder / "chunks.json").read_text() != before


def test_a_missing_chunk_and_a_name_that_leads_elsewhere_are_refused(folder, capsys):
    (folder / "000008-000010/index.json").unlink()
    assert write(folder) == 2 and "000008-000010/index.json" in capsys.readouterr().err
    (folder / "chunks.json").write_text(json.dumps({"chunks": {"../elsewhere": ""}}))
    with pytest.raises(DataError, match="no folder name"):
        expand_lists([folder / "chunks.json"])


def test_a_chunk_of_another_configuration_is_named_and_kept(folder, capsys):
    (folder / "000008-000012").mkdir()
    (folder / "000008-000012/index.json").write_text("of five frames more")
    (folder / "000020-000022").mkdir()  # no chunk: it has no index
    assert write(folder) == 0
    assert [line.split(",")[0] for line in capsys.readouterr().out.splitlines()] == [
        "2 chunks",
        f"not among them: {folder / '000008-000012'}",
    ]
    assert (folder / "000008-000012/index.json").exists()
    assert leftovers(folder / "chunks.json") == [folder / "000008-000012"]
