import subprocess
import sys
from pathlib import Path

import torch

from mousefacelift.core.adam import Adam


def test_steps_are_those_of_torch_to_the_bit():
    starts = [torch.randn(7, 3, generator=torch.Generator().manual_seed(k)) for k in range(3)]
    mine, theirs = ([s.clone().requires_grad_() for s in starts] for _ in range(2))
    ours = Adam([{"params": mine[:1], "lr": 0.0}], eps=1e-15)
    ours.add_param_group({"params": mine[1:], "lr": 0.0, "name": "more"})
    torchs = torch.optim.Adam(
        [{"params": theirs[:1], "lr": 0.0}, {"params": theirs[1:], "lr": 0.0}], eps=1e-15, fused=True
    )
    for step in range(5):
        for values, optimiser in ((mine, ours), (theirs, torchs)):
            for group, rate in zip(optimiser.param_groups, (0.1, 0.02)):
                group["lr"] = rate * 0.9**step
            optimiser.zero_grad()
            asked = values if step % 2 else values[:2]  # a tensor without gradient does not move
            sum((value - 1).pow(2).sum() * (k + 1) for k, value in enumerate(asked)).backward()
            optimiser.step()
        for a, b in zip(mine, theirs, strict=True):
            assert torch.equal(a, b)
    for a, b in zip(mine, theirs, strict=True):
        assert all(
            torch.equal(ours.state[a][name], torchs.state[b][name]) for name in ("step", "exp_avg", "exp_avg_sq")
        )


def test_a_fit_a_generator_and_weights_from_a_file_leave_torchs_compiler_alone(tmp_path):
    """It is a second of every job that imports it."""
    code = f"""
import sys, torch
sys.path.insert(0, {str(Path(__file__).resolve().parents[2])!r})
from mousefacelift.lrm.model import GSLRM
from mousefacelift.lrm.models import preset
from mousefacelift.distill.generators.prior import PriorGenerator
from mousefacelift.splats.fit import fit_frames
from mousefacelift.splats.config import OptimiseConfig
from mousefacelift.splats.parameters import make_optimiser
with torch.device("meta"):
    model = GSLRM(preset("small"))
assert all(value.is_meta for value in model.parameters())
value = torch.zeros(3, requires_grad=True)
optimiser = make_optimiser({{"means": value}}, OptimiseConfig())
value.sum().backward()
optimiser.step()
dear = {{"torch._dynamo", "sympy", "scipy.stats", "scipy.signal", "mousefacelift.prior.shards"}}
print(sorted(dear & set(sys.modules)))
"""
    assert subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout == "[]\n"
