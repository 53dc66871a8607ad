"""How a command starts: the collector of circular garbage does not go over what imports make; BLAS has one thread."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
MANY = "class Node: pass\nkept = [[Node()] for _ in range(20000)]\n"  # 28 collections at the usual threshold


def say(tmp_path: Path, code: str) -> str:
    """What a fresh Python prints that runs `code`, with a module `many` that makes 40,000 objects."""
    (tmp_path / "many.py").write_text(MANY)
    paths = f"import sys; sys.path[:0] = [{str(tmp_path)!r}, {str(ROOT)!r}]\n"
    return subprocess.run([sys.executable, "-c", paths + code], check=True, capture_output=True, text=True).stdout


@pytest.mark.parametrize("start", ["", "from mousefacelift.collector import spare_imports; spare_imports()"])
def test_collections_during_an_import_look_at_nothing(tmp_path, start):
    code = f"""
import gc
{start}
seen = []
gc.callbacks.append(lambda phase, info: seen.append(len(gc.get_objects())) if phase == "start" else None)
import many
print(len(seen), max(seen))
"""
    collections, most = map(int, say(tmp_path, code).split())
    assert collections > 5
    assert most == 0 if start else most > 1000  # without it they go over all that lives


def test_circles_that_a_command_makes_are_freed_and_the_end_looks_at_nothing(tmp_path):
    code = """
import atexit, gc, weakref
atexit.register(lambda: print("at the end", len(gc.get_objects())))  # runs after those registered later
from mousefacelift.collector import spare_imports
spare_imports()
spare_imports()
import many
print("callbacks", len(gc.callbacks))
node = many.Node(); node.itself = node
gone = weakref.ref(node)
del node
more = [[many.Node()] for _ in range(20000)]  # sets off collections, of all ages
gc.collect()
print("freed", gone() is None)
"""
    assert say(tmp_path, code).splitlines() == ["callbacks 1", "freed True", "at the end 0"]


def test_a_command_gives_openblas_one_thread_before_numpy_is_imported(tmp_path):
    code = """
import contextlib, os
os.environ["OPENBLAS_NUM_THREADS"] = "2"  # as Snakemake does for a rule of two threads
from mousefacelift.cli import main
print("numpy" in sys.modules)
with contextlib.suppress(SystemExit):
    main(["--version"])
print(os.environ["OPENBLAS_NUM_THREADS"])
"""
    said = say(tmp_path, code).splitlines()
    assert said[0] == "False" and said[-1] == "1"


@pytest.mark.parametrize("given", [None, "5"])
def test_a_command_lets_waiting_threads_sleep_soon_unless_told_otherwise(tmp_path, given):
    code = f"""
import contextlib, os
os.environ |= {{"GOMP_SPINCOUNT": {given!r}}} if {given!r} else {{}}
from mousefacelift.cli import main
print("torch" in sys.modules)
with contextlib.suppress(SystemExit):
    main(["--version"])
print(os.environ["GOMP_SPINCOUNT"])
"""
    said = say(tmp_path, code).splitlines()
    assert said[0] == "False" and said[-1] == (given or "20000")


def test_the_command_spares_imports(tmp_path):
    code = """
import contextlib, gc
from mousefacelift.cli import main
from mousefacelift.collector import _look_away
with contextlib.suppress(SystemExit):
    main(["--version"])
print(_look_away in gc.callbacks)
"""
    assert say(tmp_path, code).splitlines()[-1] == "True"
