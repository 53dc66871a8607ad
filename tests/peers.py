"""Foreign packages for slow tests: installed from the package registries into a folder of their own, without what they
depend on, so that the environment stays as pinned. A test that cannot have them skips and says so."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest


def install(folder: Path, *packages: str) -> Path:
    """A folder that holds Python packages; pinned as NAME==VERSION."""
    command = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", str(folder), *packages]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"{' '.join(packages)} cannot be installed here: {done.stderr.strip().splitlines()[-1:]}")
    return folder


def run_python(folder: Path, code: str, *arguments) -> str:
    """What `code` prints with the packages of `folder` before the environment's own."""
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    command = [sys.executable, "-c", code, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def install_node(folder: Path, *packages: str) -> Path:
    """A folder whose node_modules holds npm packages, pinned as NAME@VERSION."""
    if not shutil.which("npm") or not shutil.which("node"):
        pytest.skip("needs node with npm")
    command = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", str(folder), *packages]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"{' '.join(packages)} cannot be installed here: {done.stderr.strip().splitlines()[-1:]}")
    return folder
