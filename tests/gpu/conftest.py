"""Every test of this folder runs on the CPU by default and on the GPU with `-m gpu`: the same code, the same checks.

python -m pytest -m gpu        on a machine with a CUDA device and nvcc (gsplat compiles its kernels once)
"""

import pytest
import torch


@pytest.fixture(params=["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def device(request, monkeypatch):
    """The torch device of a test. Without one, `-m gpu` fails: a run that was asked for must not pass by skipping."""
    if request.param == "cuda":
        assert torch.cuda.is_available(), "-m gpu needs a CUDA device"
    else:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: False)  # commands take a GPU wherever they see one
    return request.param
