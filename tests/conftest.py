"""Shared fixtures. Data beside the checkout (../shared) is used when present; a test that needs it says when it
skips."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
LONG = (  # files that take longest come first, so that no process of `make test` is left alone with one at the end
    "tests/workflow/test_plan.py",
    "lrm/test_launch.py",
    "lrm/test_resume.py",
    "capture/test_rig_proof.py",
    "splats/test_commands.py",
    "single/test_protocol.py",
    "distill/test_facelift_training.py",
)


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: not item.path.as_posix().endswith(LONG))


@pytest.fixture(scope="session")
def shared() -> Path:
    """Folder with conformance fixtures and real data that is not part of the project."""
    folder = ROOT.parent / "shared"
    if not folder.is_dir():
        pytest.skip("needs the conformance data in ../shared, which is not part of the project")
    return folder


@pytest.fixture(autouse=True)
def fresh_accelerate_state():
    """accelerate keeps one state per process and refuses another precision; a command's process has one, a test run has
    many."""
    yield
    if "accelerate.state" in sys.modules:
        sys.modules["accelerate.state"].AcceleratorState._reset_state(reset_partial_state=True)


@pytest.fixture(autouse=True)
def threads_of_the_process():
    """A command sets how many threads its process computes with, and sums in another order give other bits; a test run
    has many commands in one process."""
    import torch

    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture(autouse=True)
def exact_keys(monkeypatch):
    """A command that a rule runs is given the keys that its rule hands over and no others, as in the pipeline."""
    from mousefacelift import arguments

    read = arguments.config_mapping

    def handed_over(args):
        from tests.rules import keys_of_command

        mapping = read(args)
        return keys_of_command(args, mapping) if mapping and "exact" not in mapping else mapping

    # all imported first: a module that is imported while this holds would keep it for the tests of other files
    modules = [import_module(f"mousefacelift.{name}") for name in ("arguments", "capture.commands", "lrm.commands")]
    for module in modules:
        monkeypatch.setattr(module, "config_mapping", handed_over)


@pytest.fixture
def rng():
    import numpy as np

    return np.random.default_rng(0)
