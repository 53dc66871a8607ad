"""A file as LGM publishes it becomes a model folder."""

import dataclasses

import pytest
import torch
from safetensors.torch import save_file

from mousefacelift.cli import main
from mousefacelift.errors import ConfigError, MissingWeights
from mousefacelift.lrm.importer import import_checkpoint
from mousefacelift.lrm.lgm.model import LGM, LGMConfig
from mousefacelift.lrm.weights import read_facts, read_model

SMALL = LGMConfig(32, (32, 64), (False, True), True, (64, 32), (True, False))


@pytest.fixture
def state():
    torch.manual_seed(1)
    return {name: value.half() for name, value in LGM(SMALL).state_dict().items()}


def test_half_precision_file_with_its_licence(tmp_path, state, capsys):
    save_file(state, tmp_path / "model_fp16_fixrot.safetensors")
    (tmp_path / "LICENSE").write_text("as the page says")
    assert main(["lrm", "import", str(tmp_path / "model_fp16_fixrot.safetensors"), "--out", str(tmp_path / "out")]) == 0
    assert "LGM: " in capsys.readouterr().out
    model, sizes = read_model(tmp_path / "out")
    assert (sizes.down, sizes.down_attention, sizes.up, sizes.up_attention) == (
        SMALL.down,
        SMALL.down_attention,
        SMALL.up,
        SMALL.up_attention,
    )
    assert sizes.fovy == 49.1 and sizes.rotates and sizes.middle_attention
    assert torch.equal(model.conv.weight, state["conv.weight"].float())
    assert (tmp_path / "out/LICENSE.txt").read_text() == "as the page says"


def test_a_file_of_before_the_fix_is_not_believed_by_itself(tmp_path, state):
    save_file(state, tmp_path / "model_fp16.safetensors")
    with pytest.raises(ConfigError, match="rotations"):
        import_checkpoint(tmp_path / "model_fp16.safetensors", tmp_path / "out")
    import_checkpoint(tmp_path / "model_fp16.safetensors", tmp_path / "out", rotations=False)
    assert read_facts(tmp_path / "out")["model"]["rotates"] is False
    model, sizes = read_model(tmp_path / "out")
    model.config = dataclasses.replace(sizes, image_size=32)  # no weight depends on it
    image, c2w = torch.rand(1, 2, 4, 32, 32), torch.eye(4).expand(1, 2, 4, 4).clone()
    c2w[..., 2, 3] = -2.7
    with torch.no_grad():
        quats = model(image, c2w, torch.tensor([35.0, 35, 16, 16]).expand(1, 2, 4)).numbers[..., 7:11]
    assert torch.equal(quats, torch.tensor([1.0, 0, 0, 0]).expand_as(quats))


def test_a_file_that_lacks_a_weight_is_named(tmp_path, state):
    del state["unet.mid_block.nets.1.conv2.bias"]
    save_file(state, tmp_path / "x_fixrot.safetensors")
    with pytest.raises(MissingWeights, match="1 keys missing"):
        import_checkpoint(tmp_path / "x_fixrot.safetensors", tmp_path / "out")
