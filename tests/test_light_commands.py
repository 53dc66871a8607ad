"""What a command does not need it does not import: each of these modules is 0.2 to 1 s of every job."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
DEAR = (
    "torch",
    "torch._dynamo",
    "scipy.ndimage",
    "scipy.spatial",
    "scipy.stats",
    "scipy.signal",
    "pandas",
    "matplotlib",
)
# module that a job's command imports -> which of the dear ones it may
MAY = {
    "mousefacelift.dataset.commands": set(),
    "mousefacelift.capture.commands": set(),
    "mousefacelift.capture.locate": set(),
    "mousefacelift.capture.normalise": set(),
    "mousefacelift.capture.audit": {"scipy.ndimage", "scipy.spatial"},
    "mousefacelift.distill.learn_gate": set(),
    "mousefacelift.distill.nearest.build": set(),
    "mousefacelift.splats.views_chunk": {"torch"},
    "mousefacelift.distill.generators.prior": {"torch"},
    "mousefacelift.lrm.predict": {"torch", "pandas"},
    "mousefacelift.check.single": {"torch", "pandas", "scipy.spatial"},
}


@pytest.mark.parametrize("module", MAY)
def test_a_module_imports_no_dear_one_beyond_those_it_needs(module):
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r}); import {module}; print(*set({DEAR!r}) & set(sys.modules))"
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    assert set(found) <= MAY[module]


def test_a_command_that_lists_chunks_imports_no_numpy():
    modules = "mousefacelift.dataset.commands, mousefacelift.chunk_lists"
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r}); import {modules}; print('numpy' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert found == "False\n"
