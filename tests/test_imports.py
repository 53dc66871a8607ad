"""Imports only go down: packages and top modules, read from the syntax tree, imports inside functions included."""

import ast
import re
import sys
import tomllib
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1] / "mousefacelift"
BASE = {"errors", "config"}  # seen by all
# what a stage's commands stand on
JOB = {"chunks", "chunk_lists", "arguments", "devices", "locks", "inputs", "collector", "processes"}
ALLOWED = {  # stage or top module -> what it may import, from the bottom up
    "errors": set(),
    "config": {"errors"},
    "inputs": set(),
    "collector": set(),
    "processes": {"collector"},
    "locks": set(),
    "devices": set(),
    "status": {"chunk_lists"},
    "arguments": {"devices"},
    "core": set(),
    "formats": {"core"},
    "chunks": {"core", "locks"},
    "chunk_lists": {"chunks", "core"},
    "capture": {"core", "formats"} | JOB,
    "virtual": {"core", "formats", "capture"} | JOB,
    "prior": {"core", "virtual"} | JOB,
    "embed": {"core", "prior"} | JOB,
    "distill": {"core", "prior"} | JOB,
    "splats": {"core"} | JOB,
    "objects": {"core", "formats"} | JOB,
    "dataset": {"core", "formats"} | JOB,
    "check": {"core", "dataset"} | JOB,
    "lrm": {"core", "dataset", "check"} | JOB,
    "report": {"core", "chunks", "arguments", "__version__"},
    "reconstruct": {"core", "capture", "distill", "lrm"} | JOB,
    "single": {"core", "dataset", "distill", "lrm", "reconstruct", "virtual"} | JOB,
    "experiment": {"core", "dataset", "check", "lrm", "virtual", "objects", "splats", "prior", "single"} | JOB,
    "workflow": {"core"},
    "planning": {"capture", "dataset"},
    "notes": {"planning"},
    "config_file": {"schema"},
    "doctor": {"core"},
    "schema": {"config_file", "core"} | {path.parent.name for path in PACKAGE.glob("*/config.py")},
    "cli": {"__version__", "collector", "locks"},
    "__main__": {"cli"},
}


def imports_of(path):
    """First names below the package of everything that a module imports, at whatever depth of its code."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        yield from (name.split(".")[1] for name in names if name.startswith("mousefacelift."))


def test_imports_only_go_down():
    wrong = []
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).parts
        room = parts[0] if len(parts) > 1 else path.stem
        if room != "__init__":
            below = ALLOWED[room] | BASE | {room}
            wrong += [f"{'/'.join(parts)} imports {name}" for name in imports_of(path) if name not in below]
    assert wrong == []


def test_the_graph_has_no_circle_but_that_of_the_file_and_its_schema():
    """A room that is allowed to see another is not seen by it, directly or through others."""

    def seen(room, through):
        for name in ALLOWED.get(room, set()) - through:
            through.add(name)
            seen(name, through)
        return through

    assert [room for room in ALLOWED if room in seen(room, set())] == ["config_file", "schema"]


def test_no_module_is_longer_than_300_lines():
    paths = [
        *PACKAGE.rglob("*.py"),
        *Path(__file__).parent.rglob("*.py"),
        *(PACKAGE.parent / "benchmarks").glob("*.py"),
    ]
    lengths = {path.relative_to(PACKAGE.parent).as_posix(): len(path.read_text().splitlines()) for path in paths}
    assert {name: length for name, length in lengths.items() if length > 300} == {}


def test_imports_inside_functions_are_seen(tmp_path):
    (tmp_path / "module.py").write_text(
        "def f():\n    from mousefacelift.lrm import train\n    import mousefacelift.core.hull\n"
    )
    assert list(imports_of(tmp_path / "module.py")) == ["lrm", "core"]


def test_every_foreign_module_is_a_declared_dependency():
    """Also what is imported inside functions: a package of the developers' extra alone is none that a user has."""
    project = tomllib.loads((PACKAGE.parent / "pyproject.toml").read_text())["project"]
    extras = (value for name, value in project["optional-dependencies"].items() if name != "dev")
    declared = {re.split(r"[^\w-]", line)[0].lower() for group in (project["dependencies"], *extras) for line in group}
    through = {"bpy": "Blender", "mathutils": "Blender", "llvmlite": "numba", "markupsafe": "jinja2"}
    names = {"cv2": "opencv-python-headless", "PIL": "pillow", "yaml": "pyyaml"}
    missing = set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            found = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            found += [node.module] if isinstance(node, ast.ImportFrom) and node.module and not node.level else []
            tops = {name.split(".")[0] for name in found} - sys.stdlib_module_names - {"mousefacelift", *through}
            missing |= {f"{path.name}: {top}" for top in tops if names.get(top, top).lower() not in declared}
    assert missing == set()
