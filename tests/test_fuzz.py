"""Readers of damaged, edited and foreign files raise the project's own errors and nothing else.

100 mutated inputs a reader here; 5,000 with  python -m pytest -m slow tests/test_fuzz.py
"""

import copy
import json
import random
import shutil
import warnings

import pytest

from mousefacelift.errors import MouseFaceLiftError
from mousefacelift.formats import child

from .fuzz_cases import cases
from .warm import warm_children

VALUES = (None, True, -1, 0, 2**70, 1e308, float("nan"), float("inf"), "", "x", "../../etc/passwd", "\0", [], {}, [[]])
CASES = cases()


def mutate_bytes(data, draw):
    """The bytes with one to four of the things that disks, editors and transfers do to files."""
    data = bytearray(data)
    for _ in range(draw.randint(1, 4)):
        at = draw.randrange(len(data) + 1)
        size = draw.choice((1, 2, 7, 64, 1000))
        how = draw.randrange(7)
        if how == 0:
            data = data[:at]
        elif how == 1:
            data[at : at + size] = bytes(min(size, len(data) - at))
        elif how == 2:
            data[at:at] = draw.randbytes(size)
        elif how == 3:
            del data[at : at + size]
        elif how == 4 and at < len(data):
            data[at] ^= 1 << draw.randrange(8)
        elif how == 5:
            data[at : at + size] = draw.randbytes(min(size, len(data) - at))
        else:
            data[at:at] = data[at : at + size]
    return bytes(data)


def mutate_json(document, draw):
    """The document with one to three values or keys changed."""
    document = copy.deepcopy(document)
    for _ in range(draw.randint(1, 3)):
        places = list(_places(document))
        if not places:
            return draw.choice(VALUES)
        parent, key = draw.choice(places)
        how = draw.randrange(3)
        if how == 0:
            parent[key] = draw.choice(VALUES)
        elif how == 1:
            del parent[key]
        elif isinstance(parent, list):
            parent.insert(key, copy.deepcopy(parent[key]))
        else:
            parent[f"{key}2"] = parent.pop(key)
    return document


def _places(node):
    if isinstance(node, dict | list):
        for key in list(node) if isinstance(node, dict) else range(len(node)):
            yield node, key
            yield from _places(node[key])


def mutated(data, path, draw):
    if path.suffix == ".json" and draw.random() < 0.6:
        return json.dumps(mutate_json(json.loads(data), draw)).encode()
    return mutate_bytes(data, draw)


def fuzz(name, tmp_path, count):
    """{exception type: [first message, ...]} of what is none of the project's errors."""
    case, draw, wrong = CASES[name], random.Random(name), {}
    valid = tmp_path / "valid"
    valid.mkdir()
    case.build(valid)
    case.read(valid)
    files = [p for p in sorted(valid.rglob("*")) if p.is_file() and (case.only == "*" or p.name in case.only.split())]
    originals = {path: path.read_bytes() for path in files}
    for number in range(count):
        path = draw.choice(files)
        path.write_bytes(mutated(originals[path], path, draw))
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                case.read(valid)
        except MouseFaceLiftError:
            pass
        except Exception as error:  # what this test looks for
            wrong.setdefault(type(error).__name__, []).append(f"{number} {path.name}: {error}"[:200])
        path.write_bytes(originals[path])
    shutil.rmtree(valid)
    return {kind: (len(found), found[0]) for kind, found in wrong.items()}


@pytest.fixture(autouse=True)
def children(monkeypatch):
    """Exit codes of the child processes that foreign parsers ran in, one for every file that they were given.

    The product gives a parser a minute; five thousand damaged files get seconds each.
    """
    monkeypatch.setattr(child, "SECONDS", 5)
    with warm_children(monkeypatch) as codes:
        yield codes


@pytest.mark.parametrize("name", CASES)
def test_mutated_files_raise_errors_of_the_project_only(name, tmp_path):
    assert fuzz(name, tmp_path, 100) == {}


@pytest.mark.slow
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("name", CASES)
def test_five_thousand_mutated_files_raise_errors_of_the_project_only(name, tmp_path):
    assert fuzz(name, tmp_path, 5000) == {}


MAIN = """
import os, signal, sys, time
def main():
    kind, memory, seconds, *paths = sys.argv[1:]
    if kind == "crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    if kind == "slow":
        time.sleep(60)
    sys.exit(7)
if __name__ == "__main__":
    main()
"""


@pytest.mark.parametrize("kind, told", [("crash", "SIGSEGV"), ("slow", "no end after 2 s"), ("leaves", "code 7")])
def test_a_warm_child_ends_as_a_cold_one_does(kind, told, tmp_path, monkeypatch):
    monkeypatch.setattr(child, "MAIN", tmp_path / "main.py")
    monkeypatch.setattr(child, "SECONDS", 1)
    child.MAIN.write_text(MAIN)
    with pytest.raises(MouseFaceLiftError, match=told), warm_children(monkeypatch):
        child.read_foreign(kind, [child.MAIN])


def test_every_file_of_a_foreign_parser_is_read_by_a_process_of_its_own(tmp_path, children):
    assert fuzz("calibration camera_hdf5", tmp_path, 20) == {} and len(children) == 21
