"""What a result was made by: the version of the code (in every rule's parameters, chunk's key and sample), and the
tools' versions.

A change to a comment, to layout or to a module that is not imported changes nothing. Read by the Snakefile's helpers
too, so nothing here imports numpy or torch.
"""

from __future__ import annotations

import ast
import hashlib
import marshal
import platform
import sys
from collections.abc import Iterator
from functools import cache
from importlib import metadata
from pathlib import Path
from types import CodeType

PACKAGE = Path(__file__).resolve().parents[1]
TOOLS = ("mousefacelift", "numpy", "opencv-python-headless", "torch", "gsplat", "diffusers", "trimesh")


@cache
def tool_versions() -> dict[str, str]:
    """Versions of Python and of the packages that decide pixels; a package that is not installed is left out."""
    versions = {"python": platform.python_version()}
    for name in TOOLS:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return versions


def calling_code(module: str) -> str:
    """`code_version` of the module of this package that called into `module`; of `module` when a stranger did."""
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_globals["__name__"] == module:
        frame = frame.f_back
    caller = frame.f_globals["__name__"]
    return code_version((caller if caller.startswith("mousefacelift.") else module,))


@cache
def code_version(modules: tuple[str, ...]) -> str:
    """12 hexadecimal digits of the code (comments, docstrings and layout left out) of modules and all they import
    here."""
    seen: dict[str, str] = {}
    pending = list(modules)
    while pending:
        module = pending.pop()
        if module in seen:
            continue
        seen[module], imported = _read_module(module)
        pending += imported
    text = "\n".join(f"{name} {seen[name]}" for name in sorted(seen))
    return hashlib.sha256(text.encode()).hexdigest()[:12]


@cache
def _read_module(module: str) -> tuple[str, list[str]]:
    """Digest of a module's compiled code and the modules of this package that it imports."""
    path = _module_path(module)
    if path is None:
        raise FileNotFoundError(f"rule names module {module}, which does not exist")
    tree = ast.parse(path.read_text())
    imported: set[str] = set()
    for node in _statements(tree):
        imported.update(_imports(node, module, path), _plug_ins(node))
        body = node.body if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)) else []
        if body and isinstance(body[0], ast.Expr) and isinstance(getattr(body[0].value, "value", None), str):
            body[:1] = [] if len(body) > 1 else [ast.copy_location(ast.Pass(), body[0])]  # a docstring
    code = compile(tree, "", "exec", dont_inherit=True)
    return hashlib.sha256(marshal.dumps(_without_places(code), 2)).hexdigest(), sorted(imported)


def _statements(tree: ast.AST) -> Iterator[ast.AST]:
    """Every statement, expressions not entered: imports and docstrings stand nowhere else."""
    pending = [tree]
    while pending:
        node = pending.pop()
        yield node
        for name in ("body", "orelse", "finalbody", "handlers", "cases"):
            inner = getattr(node, name, None)
            pending += inner if isinstance(inner, list) else []


def _without_places(code: CodeType) -> CodeType:
    """Code without line numbers and file name, in an order that does not hang on the hash seed."""
    constants = tuple(
        _without_places(c) if isinstance(c, CodeType) else sorted(map(repr, c)) if isinstance(c, frozenset) else c
        for c in code.co_consts
    )
    return code.replace(co_consts=constants, co_linetable=b"", co_firstlineno=1, co_filename="")


def _imports(node: ast.AST, module: str, path: Path) -> list[str]:
    if isinstance(node, ast.Import):
        names = [alias.name for alias in node.names]
    elif isinstance(node, ast.ImportFrom):
        base = node.module or ""
        if node.level:
            parts = module.split(".")
            keep = len(parts) - node.level + (path.name == "__init__.py")
            base = ".".join(parts[:keep] + ([node.module] if node.module else []))
        names = [base] + [f"{base}.{alias.name}" for alias in node.names]
    else:
        return []
    return [
        name for name in names if name.startswith("mousefacelift") and name != "mousefacelift" and _module_path(name)
    ]


def _plug_ins(node: ast.AST) -> list[str]:
    """Modules of the package that a module names as `PLUG_INS = "..."`: it imports one of them by its name."""
    if not isinstance(node, ast.Assign) or getattr(node.targets[0], "id", "") != "PLUG_INS":
        return []
    package = str(ast.literal_eval(node.value))
    folder = PACKAGE.parent.joinpath(*package.split("."))
    return [f"{package}.{path.stem}" for path in sorted(folder.glob("*.py")) if path.stem != "__init__"]


def _module_path(module: str) -> Path | None:
    base = PACKAGE.parent.joinpath(*module.split("."))
    if base.with_suffix(".py").is_file():
        return base.with_suffix(".py")
    return base / "__init__.py" if (base / "__init__.py").is_file() else None
