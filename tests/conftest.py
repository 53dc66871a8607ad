"""Shared fixtures. Data beside the checkout (../shared) is used when present; a test that needs it says when it skips."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def shared() -> Path:
    """Folder with conformance fixtures and real data that is not part of the project."""
    folder = ROOT.parent / "shared"
    if not folder.is_dir():
        pytest.skip("needs the conformance data in ../shared, which is not part of the project")
    return folder


@pytest.fixture
def rng():
    import numpy as np

    return np.random.default_rng(0)
