import json
import tracemalloc

import pytest

from mousefacelift.core.files import json_by_rows
from mousefacelift.core.json_parts import JsonRows, read_json_keys, read_json_rows, write_json, write_json_rows
from mousefacelift.errors import DataError

DOCUMENT = {
    "version": 1,
    "name": 'a "b": [1],',
    "frames": [1, 2, 3],
    "centers": [[0.5, 1.5], [2.0, 3.0]],
    "excluded": {"frames": "under another key", "5": "none]"},
    "empty": [],
    'an "odd" key': None,
    "rate": 10.0,
}
SHAPE = {"name": str, "frames": [int], "rate": float, "more?": int, "empty?": [int]}
WANTED = {name: DOCUMENT[name] for name in ("name", "frames", "rate", "empty")}


@pytest.mark.parametrize("indent", [None, 1, 2])
def test_the_wanted_keys_are_read_however_the_file_is_laid_out(tmp_path, indent):
    (tmp_path / "a.json").write_text(json.dumps(DOCUMENT, indent=indent))
    assert read_json_keys(tmp_path / "a.json", SHAPE) == WANTED


def test_lines_that_only_look_like_keys_are_not_taken_for_them(tmp_path):
    text = json.dumps(DOCUMENT, indent=1)
    flat = "\n".join(" " + line.strip() if line[0] == " " else line for line in text.splitlines())  # one blank each
    (tmp_path / "a.json").write_text(flat)
    assert read_json_keys(tmp_path / "a.json", SHAPE) == WANTED


def test_what_is_passed_over_is_not_held(tmp_path):
    many = {"frames": list(range(100)), "centers": [[float(i), 0.1 * i, 0.2 * i] for i in range(20_000)], "fps": 1.0}
    write_json(tmp_path / "a.json", many)
    tracemalloc.start()
    try:
        assert read_json_keys(tmp_path / "a.json", {"frames": [int], "fps": float})["fps"] == 1.0
        assert tracemalloc.get_traced_memory()[1] < 1e5  # the whole takes 5 MB
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("change", [lambda t: t[:-1], lambda t: t[: len(t) // 2], lambda t: "", lambda t: "[1]"])
def test_a_file_that_is_not_whole_is_refused(tmp_path, change):
    (tmp_path / "a.json").write_text(change(json.dumps(DOCUMENT, indent=1)))
    with pytest.raises(DataError, match="thing .*a.json cannot be read"):
        read_json_keys(tmp_path / "a.json", SHAPE, "thing")


def test_another_shape_is_named_at_its_place(tmp_path):
    for document, words in ((DOCUMENT | {"frames": [1, "b"]}, r"frames\[1\]"), ({"name": "a"}, "'frames' is missing")):
        (tmp_path / "a.json").write_text(json.dumps(document, indent=1))
        with pytest.raises(DataError, match=words):
            read_json_keys(tmp_path / "a.json", SHAPE)
    with pytest.raises(DataError, match="no such file"):
        read_json_keys(tmp_path / "none.json", SHAPE)


def test_json_is_written_as_json_writes_it(tmp_path):
    write_json(tmp_path / "a.json", DOCUMENT)
    assert (tmp_path / "a.json").read_text() == json.dumps(DOCUMENT, indent=1)


ROWS = {
    "key": "k",
    "header": {"a": [1, "]\n}"]},
    "items": [{"name": "x", "n": 1}, {"name": "},\n", "n": 2}, {"name": ""}],
}


@pytest.mark.parametrize("lay_out", [json_by_rows, json.dumps, lambda document: json.dumps(document, indent=1)])
def test_rows_are_read_one_at_a_time_however_the_file_is_laid_out(tmp_path, lay_out):
    (tmp_path / "a.json").write_text(lay_out(ROWS))
    found = read_json_rows(tmp_path / "a.json", {"key": str, "header": dict}, "items")
    assert found["key"] == "k" and found["header"] == ROWS["header"] and len(found["items"]) == 3
    assert [*found["items"]] == ROWS["items"] and found["items"][1] == ROWS["items"][1]
    assert isinstance(found["items"], JsonRows) == (lay_out is json_by_rows)


@pytest.mark.parametrize("cut", [1, 3, 8, 30, 100])
def test_rows_of_a_file_that_is_cut_short_are_refused(tmp_path, cut):
    (tmp_path / "a.json").write_text(json_by_rows(ROWS)[:-cut])
    with pytest.raises(DataError, match="index .*a.json cannot be read"):
        read_json_rows(tmp_path / "a.json", {"key": str, "header": dict}, "items", "index")


@pytest.mark.parametrize("rows", ([], [{"a": 1}], [{"a": 1, "b": [2, "\u00e4"]}, {}, {"a": None}]))
def test_rows_are_written_one_at_a_time_as_json_by_rows_writes_them(tmp_path, rows):
    head = {"key": "k", "header": {"list": [1, 2]}, "lines": [{"x": 1}, {"x": 2}]}
    write_json_rows(tmp_path / "a.json", head, "items", iter(rows))
    assert (tmp_path / "a.json").read_text() == json_by_rows(head | {"items": rows})


def test_json_that_is_written_as_it_is_encoded_holds_no_nan(tmp_path):
    write_json(tmp_path / "a.json", {"rows": list(range(5000)), "last": float("nan")})
    text = (tmp_path / "a.json").read_text()
    assert text == json.dumps({"rows": list(range(5000)), "last": None}, indent=1)
