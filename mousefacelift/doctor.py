"""`mousefacelift doctor`: what this machine has, what is missing, and what to do about it."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import os
import platform
import shutil
import sys
from collections.abc import Callable
from functools import partial

REQUIRED = (
    "torch",
    "numpy",
    "cv2",
    "numba",
    "pandas",
    "pyarrow",
    "diffusers",
    "transformers",
    "gsplat",
    "trimesh",
    "av",
    "snakemake",
)


def add_command(subparsers) -> None:
    parser = subparsers.add_parser(
        "doctor",
        help="what this machine has, and what is missing",
        description="what this machine has, and what is missing",
    )
    parser.set_defaults(run=lambda args: run())


def run() -> None:
    """Print one line per finding; raises nothing, the reader decides."""
    for line in findings():
        print(line)


def findings() -> list[str]:
    """Lines of the form 'ok ...', 'note ...' or 'bad ... -> remedy'."""
    checks = [(name, partial(_package, name)) for name in REQUIRED]
    checks += [
        ("torchvision", _torchvision),
        ("GPU", _gpu),
        ("sbatch", partial(_tool, "sbatch", "SLURM jobs: snakemake --profile workflow/profiles/slurm")),
        ("nvcc", partial(_tool, "nvcc", "gsplat compiles its kernels on first use and needs the CUDA toolkit")),
    ]
    first = f"ok    Python {platform.python_version()} on {os.cpu_count()} cores"
    return [first, *(_line(name, check) for name, check in checks)]


def _line(name: str, check: Callable[[], str]) -> str:
    """One finding; a check that fails is a finding itself and does not keep the others from being told."""
    try:
        return check()
    except Exception as error:
        return f"bad   {name} cannot be checked: {type(error).__name__}: {error}"


def _is_installed(name: str) -> bool:
    return name in sys.modules or importlib.util.find_spec(name) is not None


def _package(name: str) -> str:
    if not _is_installed(name):
        return f"bad   {name} is not installed -> pip install -c constraints.txt -e ."
    try:
        importlib.import_module(name)
    except Exception as error:  # any import failure is the finding itself
        return f"bad   {name} does not import: {type(error).__name__}: {error}"
    distribution = {"cv2": "opencv-python-headless"}.get(name, name)
    try:
        return f"ok    {distribution} {importlib.metadata.version(distribution)}"
    except importlib.metadata.PackageNotFoundError:
        return f"ok    {name}"


def _torchvision() -> str:
    if not _is_installed("torchvision"):
        return "ok    torchvision is not installed (nothing here needs it)"
    try:
        importlib.import_module("torchvision")
        return "note  torchvision is installed and works; nothing here needs it"
    except Exception as error:
        return (
            f"bad   torchvision is installed and does not import ({type(error).__name__}); it breaks diffusers and "
            "transformers -> pip uninstall torchvision"
        )


def _gpu() -> str:
    try:
        import torch
    except Exception:  # the line of torch says why
        return "note  CUDA cannot be asked for without torch"
    if not torch.cuda.is_available():
        return "note  no CUDA device: every stage runs on the CPU (jobs.gpus: 0)"
    names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return f"ok    CUDA {torch.version.cuda}: {', '.join(names)}"


def _tool(name: str, purpose: str) -> str:
    path = shutil.which(name)
    return f"ok    {name}: {path}" if path else f"note  {name} is not on PATH ({purpose})"


if __name__ == "__main__":
    sys.exit(run())
