"""What a result was made by: the version of the code (in every rule's parameters, chunk's key and sample), and the
tools' versions.

A change to a comment, to layout or to a module that is not imported changes nothing. Read by the Snakefile's helpers
too, so nothing here imports numpy or torch.
"""

from __future__ import annotations

import ast
import hashlib
import json
import marshal
import os
import platform
import sys
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from importlib import metadata
from pathlib import Path
from types import CodeType

from mousefacelift.core.files import json_text

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
    _keep_digests()
    text = "\n".join(f"{name} {seen[name]}" for name in sorted(seen))
    return hashlib.sha256(text.encode()).hexdigest()[:12]


@cache
def _read_module(module: str) -> tuple[str, list[str]]:
    """Digest of a module's compiled code and the modules of this package that it imports."""
    sources = _sources(PACKAGE)
    if module not in sources:
        raise FileNotFoundError(f"rule names module {module}, which does not exist")
    text = sources[module].read_bytes()
    source, (known, _) = hashlib.sha256(text).hexdigest(), _digests(PACKAGE)
    if known.get(module, ("",))[0] != source:
        known[module] = (source, *_digest(text, module, sources[module]))
    _, digest, names = known[module]
    return digest, [inner for name in names for inner in _modules_of(name, sources)]


def _modules_of(name: str, sources: dict[str, Path]) -> list[str]:
    """Modules that an imported name stands for: one, none (what is in a module), or with `.*` all of a folder."""
    folder, star = name.removesuffix(".*"), name.endswith(".*")
    if not star:
        return [name] if name in sources else []
    return sorted(m for m, path in sources.items() if m.rpartition(".")[0] == folder and path.stem != "__init__")


def _digest(text: bytes, module: str, path: Path) -> tuple[str, list[str]]:
    """Digest of a source's compiled code, and what it imports from this package: modules, or what is in them."""
    tree = ast.parse(text)
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
    return [name for name in names if name.startswith("mousefacelift.")]


def _plug_ins(node: ast.AST) -> list[str]:
    """All modules of the package that a module names as `PLUG_INS = "..."`: it imports one of them by its name."""
    if not isinstance(node, ast.Assign) or getattr(node.targets[0], "id", "") != "PLUG_INS":
        return []
    return [f"{ast.literal_eval(node.value)}.*"]


@cache
def _sources(package: Path) -> dict[str, Path]:
    """{name: file} of every module of the package."""
    found = {}
    for path in package.rglob("*.py"):
        parts = (package.name, *path.relative_to(package).with_suffix("").parts)
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def _store(package: Path) -> Path:
    """File of a package's digests by this version of Python and of this module, beside its compiled modules."""
    version = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:12]
    return package / "__pycache__" / f"code_version.{sys.implementation.cache_tag}.{version}.json"


@cache
def _digests(package: Path) -> tuple[dict[str, tuple], dict[str, tuple]]:
    """{module: (SHA-256 of its source, digest, names that it imports)} as far as known, and as last stored.

    Compiling 300 modules takes most of a second, in every job of a cluster twice; what is stored is taken only for the
    very bytes of a source. A store that cannot be read or written is done without.
    """
    try:
        stored = json.loads(_store(package).read_bytes())
        known = {str(name): (str(source), str(digest), [*names]) for name, (source, digest, names) in stored.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        known = {}
    return known, dict(known)


def _keep_digests() -> None:
    """Store the digests when there are new ones."""
    known, stored = _digests(PACKAGE)
    if known == stored:
        return
    path = _store(PACKAGE)
    making = path.with_suffix(f".{os.getpid()}")
    try:
        path.parent.mkdir(exist_ok=True)
        making.write_text(json_text(known))
        making.replace(path)
    except OSError:
        with suppress(OSError):
            making.unlink()
    stored.update(known)
