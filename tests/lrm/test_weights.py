"""Model folders and published checkpoints: strict, safe, and named in their errors."""

import json
import pickle

import pytest
import torch
from safetensors.torch import load_file

from mousefacelift.errors import DataError, MissingWeights
from mousefacelift.lrm.config import TrainConfig
from mousefacelift.lrm.importer import VGG_PREFIX, describe, import_checkpoint
from mousefacelift.lrm.model import GSLRM
from mousefacelift.lrm.model_config import ModelConfig
from mousefacelift.lrm.perceptual import PerceptualLoss
from mousefacelift.lrm.trainable import choose_trainable, merged_state, parameter_groups
from mousefacelift.lrm.weights import read_model, write_model

from ..limits import files_no_larger_than

SIZES = ModelConfig(dim=64, head_dim=32, layers=2)


def published(tmp_path, **extra):
    """A checkpoint in the published form, at a tiny size."""
    state = GSLRM(SIZES).state_dict()
    document = {"model": state, "fwdbwd_pass_step": 21125, "param_update_step": 21125} | extra
    torch.save(document, tmp_path / "ckpt_0000000000021125.pt")
    return tmp_path / "ckpt_0000000000021125.pt", state


def test_import_writes_a_model_that_loads_with_the_same_weights(tmp_path):
    path, state = published(tmp_path, optimizer={"state": {}})
    vgg = {VGG_PREFIX + name: value for name, value in PerceptualLoss().state_dict().items()}
    torch.save({"model": state | vgg, "fwdbwd_pass_step": 3}, path)
    (tmp_path / "LICENSE").write_text("for research only")
    report = import_checkpoint(path, tmp_path / "out", head_dim=32)
    model, sizes = read_model(tmp_path / "out")
    assert sizes == SIZES
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    assert PerceptualLoss.from_file(tmp_path / "out" / "vgg19.safetensors")
    assert (tmp_path / "out" / "LICENSE.txt").read_text() == "for research only"
    assert "perceptual network (VGG19): yes" in describe(report) and "fwdbwd_pass_step: 3" in describe(report)


def test_without_a_licence_file_the_terms_are_written_down(tmp_path):
    import_checkpoint(published(tmp_path)[0], tmp_path / "out", head_dim=32)
    assert "non-commercial research" in (tmp_path / "out" / "LICENSE.txt").read_text()


def test_a_missing_or_wrong_key_is_named(tmp_path):
    path, state = published(tmp_path)
    gone = {k: v for k, v in state.items() if k != "transformer_layers.1.attn.fc.weight"}
    torch.save({"model": gone}, path)
    with pytest.raises(MissingWeights, match="transformer_layers.1.attn.fc.weight"):
        import_checkpoint(path, tmp_path / "out")
    torch.save({"model": state | {"view_type_embeddings": torch.zeros(2, 64)}}, path)
    with pytest.raises(MissingWeights, match="view_type_embeddings"):
        import_checkpoint(path, tmp_path / "out")
    torch.save({"model": {"conv_in.weight": torch.zeros(3)}}, path)
    with pytest.raises(MissingWeights, match="is not a GS-LRM"):
        import_checkpoint(path, tmp_path / "out")
    assert not (tmp_path / "out" / "config.json").exists()


def test_a_pickle_with_code_is_not_run(tmp_path):
    class Bomb:
        def __reduce__(self):
            return (open, (str(tmp_path / "ran"), "w"))

    path = tmp_path / "ckpt.pt"
    path.write_bytes(pickle.dumps({"model": Bomb()}))
    with pytest.raises(MissingWeights, match="cannot be read safely"):
        import_checkpoint(path, tmp_path / "out")
    assert not (tmp_path / "ran").exists()


def test_a_missing_or_truncated_model_folder_is_named(tmp_path):
    with pytest.raises(MissingWeights, match="holds no reconstructor"):
        read_model(tmp_path)
    write_model(tmp_path, GSLRM(SIZES).state_dict(), SIZES, {})
    data = (tmp_path / "model.safetensors").read_bytes()
    (tmp_path / "model.safetensors").write_bytes(data[:1000])
    with pytest.raises(MissingWeights, match="cannot be read"):
        read_model(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(data)
    facts = json.loads((tmp_path / "config.json").read_text())
    facts["model"]["layers"] = 3
    (tmp_path / "config.json").write_text(json.dumps(facts))
    with pytest.raises(MissingWeights, match="transformer_layers.2"):
        read_model(tmp_path)


def test_a_full_disk_leaves_the_weights_that_were_there(tmp_path):
    path, state = published(tmp_path)
    write_model(tmp_path / "model", state, SIZES, {"run": 1})
    with files_no_larger_than(50_000):
        with pytest.raises(DataError, match="model.safetensors cannot be written"):
            write_model(tmp_path / "model", {name: value + 1 for name, value in state.items()}, SIZES, {"run": 2})
        with pytest.raises(DataError, match="cannot be written"):
            import_checkpoint(path, tmp_path / "imported", head_dim=32)
    model, _ = read_model(tmp_path / "model")
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    with pytest.raises(MissingWeights, match="holds no reconstructor"):
        read_model(tmp_path / "imported")
    assert not [path for path in tmp_path.rglob(".*") if path.is_file()]  # no half-written rest


def test_a_model_of_another_architecture_is_named(tmp_path):
    write_model(tmp_path, GSLRM(SIZES).state_dict(), SIZES, {})
    facts = json.loads((tmp_path / "config.json").read_text())
    facts["model"]["registers"] = 4
    (tmp_path / "config.json").write_text(json.dumps(facts))
    with pytest.raises(MissingWeights, match="another architecture") as caught:
        read_model(tmp_path)
    assert "'model.registers' is not known" in str(caught.value)


def test_lora_trains_few_weights_and_merges_into_the_published_names():
    torch.manual_seed(0)
    model = GSLRM(SIZES)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    wrapped = choose_trainable(model, TrainConfig(layers="lora", lora_rank=4))
    trainable = sum(p.numel() for p in wrapped.parameters() if p.requires_grad)
    assert 0 < trainable < sum(value.numel() for value in before.values()) / 4
    for name, parameter in wrapped.named_parameters():
        if "lora_" in name:
            torch.nn.init.normal_(parameter, std=0.05)
    image, c2w = torch.rand(1, 2, 3, 16, 16), torch.eye(4).expand(1, 2, 4, 4)
    camera = torch.tensor([17.0, 17.0, 8.0, 8.0]).expand(1, 2, 4)
    merged = merged_state(wrapped)
    assert merged.keys() == before.keys()
    plain = GSLRM(SIZES)
    plain.load_state_dict(merged)
    with torch.no_grad():
        torch.testing.assert_close(plain(image, c2w, camera).xyz, wrapped(image, c2w, camera).xyz, atol=1e-5, rtol=0)
    assert not torch.equal(merged["transformer_layers.0.attn.fc.weight"], before["transformer_layers.0.attn.fc.weight"])


def test_a_frozen_share_keeps_the_first_layers():
    model = choose_trainable(GSLRM(SIZES), TrainConfig(layers="frozen", frozen_share=0.5))
    frozen = {name for name, p in model.named_parameters() if not p.requires_grad}
    assert "transformer_layers.0.attn.fc.weight" in frozen and "transformer_layers.1.attn.fc.weight" not in frozen
    assert "pixel_gaussian_decoder.1.weight" not in frozen


def test_vectors_are_not_decayed():
    groups = parameter_groups(GSLRM(SIZES), 0.05)
    assert all(p.ndim >= 2 for p in groups[0]["params"]) and groups[0]["weight_decay"] == 0.05
    assert all(p.ndim == 1 for p in groups[1]["params"]) and groups[1]["weight_decay"] == 0.0


def test_a_trained_model_carries_where_it_came_from(trained):
    facts = json.loads((trained / "config.json").read_text())
    assert facts["arm"] == "no-synthetic" and facts["dataset_build"] == "toy" and facts["steps"] == 6
    assert load_file(trained / "model.safetensors").keys() == read_model(trained)[0].state_dict().keys()
