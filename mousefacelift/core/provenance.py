"""What a file was made by: versions of the tools and a hash of this package's code."""

from __future__ import annotations

import hashlib
import platform
from functools import cache
from importlib import metadata
from pathlib import Path

PACKAGES = ("mousefacelift", "numpy", "opencv-python-headless", "torch", "gsplat", "diffusers", "trimesh")


@cache
def code_hash() -> str:
    """12 hexadecimal digits of the source text of the whole package."""
    root = Path(__file__).resolve().parents[1]
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        digest.update(path.relative_to(root).as_posix().encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


@cache
def tool_versions() -> dict[str, str]:
    """Versions of Python and of the packages that decide pixels; a package that is not installed is left out."""
    versions = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return versions
