"""Threads of a command: torch computes with as many as were asked for, and is not imported for the number's sake."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize("before", ["", "import torch"])
def test_torch_computes_with_the_threads_of_the_command_whenever_it_is_imported(before):
    code = f"""
import argparse, os, sys
sys.path.insert(0, {str(ROOT)!r})
os.environ.pop("OMP_NUM_THREADS", None)
from mousefacelift.arguments import lease_devices
{before}
print(lease_devices(argparse.Namespace(gpus=0, threads=1)), "torch" in sys.modules)
import torch
print(torch.get_num_threads())
"""
    said = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    assert said == ["cpu", str(bool(before)), "1"]
