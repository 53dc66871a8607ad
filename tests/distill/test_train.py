"""The training loop: exact resume, guards; the pose generator from train to saved weights."""

import numpy as np
import pytest
import torch

from mousefacelift.core.cameras import canonical_fxfycxcy, orbit
from mousefacelift.core.splits import Splits
from mousefacelift.distill.config import DistillConfig, GeneratorConfig, NetworkConfig, SamplerConfig, TrainingConfig
from mousefacelift.distill.generators.pose import PoseGenerator
from mousefacelift.distill.generators.pose_network import PoseNetwork, mirror_pose, pose_features
from mousefacelift.distill.generators.protocol import view_seed
from mousefacelift.distill.photos import FrameStore, choose_frames, list_frames
from mousefacelift.distill.pose_training import PoseBatches, draw_condition_drop, min_snr_weight, pose_loss
from mousefacelift.distill.selfdistill import Distiller
from mousefacelift.distill.train import learning_rate, train
from mousefacelift.distill.validate import alarms, validate
from mousefacelift.distill.view_sets import VIEW_SETS
from mousefacelift.errors import DataError, GateFailure

TINY = NetworkConfig(size=16, pool=2, width=32, encoder_blocks=1, blocks=1)
CONFIG = TrainingConfig(full_noise=0.7, minutes=10, steps=8, batch=2, views=2, warmup=2, save_every=4)


@pytest.fixture(scope="module")
def store(toy_chunk):
    splits = Splits.read(toy_chunk / "splits.json")
    return FrameStore(choose_frames(list_frames([toy_chunk / "chunk/index.json"]), splits, "train", 10), 5)


def run(store, checkpoint, kill_at=None, config=CONFIG):
    torch.manual_seed(0)
    network = PoseNetwork(TINY)
    batches = PoseBatches(store, TINY, 1.2, config, 0)

    def loss(module, step, process):
        if step == kill_at:
            raise KeyboardInterrupt
        return pose_loss(module, batches.batch(step), config, 0, step)

    return network, train(network, loss, config, checkpoint, "key")


def test_a_killed_training_goes_on_exactly(store, tmp_path):
    whole, whole_state = run(store, tmp_path / "whole.pt")
    with pytest.raises(KeyboardInterrupt):
        run(store, tmp_path / "c.pt", kill_at=6)
    resumed, state = run(store, tmp_path / "c.pt")
    assert state.losses == whole_state.losses
    for a, b in zip(whole.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(a, b)


def test_a_checkpoint_of_another_configuration_is_not_used(store, tmp_path):
    network = PoseNetwork(TINY)
    config = TrainingConfig(steps=4, save_every=4)

    def loss(module, step, process):
        return sum((p**2).mean() for p in module.parameters())

    train(network, loss, config, tmp_path / "c.pt", "one")
    assert len(train(network, loss, config, tmp_path / "c.pt", "two").losses) == 4


def test_training_whose_updates_are_skipped_stops_with_a_reason(tmp_path):
    network = PoseNetwork(TINY)
    with pytest.raises(GateFailure, match="only 0 of 50 training steps could be applied"):
        train(
            network,
            lambda m, s, p: sum(x.sum() for x in m.parameters()) * float("nan"),
            TrainingConfig(steps=100),
            tmp_path / "c.pt",
            "key",
        )


def test_the_learning_rate_warms_up_and_falls():
    rates = [learning_rate(step, 100, TrainingConfig(warmup=10, learning_rate=1.0)) for step in range(101)]
    assert rates[0] == pytest.approx(0.1) and max(rates) > 0.95 and rates[-1] == pytest.approx(0.02)


def test_the_same_number_gives_the_same_batch(store):
    a, b = (PoseBatches(store, TINY, 1.2, CONFIG, 3).batch(7) for _ in range(2))
    assert all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


def test_min_snr_is_one_below_gamma_and_falls_above():
    signal = torch.tensor([0.5, 0.99]).sqrt()
    weight = min_snr_weight(signal, (1 - signal**2).sqrt(), 5.0)
    assert weight[0] == 1.0 and weight[1] == pytest.approx(5 / 99, rel=1e-3)


def test_condition_dropping_takes_the_published_shares():
    vector, latent = draw_condition_drop(torch.linspace(0, 1, 10001)[:-1], 0.05)
    shares = [(vector & ~latent).float().mean(), (vector & latent).float().mean(), (latent & ~vector).float().mean()]
    np.testing.assert_allclose(shares, [0.05, 0.05, 0.05], atol=1e-3)


def test_pose_features_ignore_the_heading_of_the_rig_and_mirror_changes_the_turn():
    def camera(azimuth, elevation):
        return orbit(azimuth, elevation, 2.7, canonical_fxfycxcy(16), 16, 16)

    a = pose_features(camera(10, 5), [camera(70, 20)])
    np.testing.assert_allclose(a, pose_features(camera(200, 5), [camera(260, 20)]), atol=1e-6)
    np.testing.assert_allclose(
        mirror_pose(torch.from_numpy(a)), pose_features(camera(70, 5), [camera(10, 20)]), atol=1e-6
    )


def test_a_view_made_alone_is_the_view_made_with_others(store):
    generator = PoseGenerator(PoseNetwork(TINY), 1.2, VIEW_SETS["sixty_between"], SamplerConfig(steps=2), {})
    torch.nn.init.normal_(generator.network.head.weight, std=0.05)
    photos = store.views(0)
    alone = [generator.generate([photo], [seed])[0] for seed, photo in enumerate(photos)]
    again = [generator.generate([photo], [seed])[0] for seed, photo in enumerate(photos)]
    together = generator.generate(photos, list(range(len(photos))))
    for a, b, c in zip(alone, again, together, strict=True):
        assert all(np.array_equal(x.rgba, y.rgba) for x, y in zip(a, b, strict=True))
        assert all(np.abs(x.rgba - y.rgba).max() < 2e-3 for x, y in zip(a, c, strict=True))


def test_a_sampler_of_several_steps_needs_training_below_pure_noise():
    with pytest.raises(ValueError, match="full_noise below 1"):
        GeneratorConfig(kind="pose", sampler=SamplerConfig(steps=4))
    GeneratorConfig(kind="pose", sampler=SamplerConfig(steps=4), training=TrainingConfig(full_noise=0.7))
    GeneratorConfig(sampler=SamplerConfig(steps=50), kind="facelift")


def test_one_view_of_a_chunk_can_be_made_again_alone_and_identically(store, tmp_path):
    """From (seed, recording, frame, camera) and the photo alone, in any order, bit for bit as it is stored."""
    network = PoseNetwork(TINY)
    torch.nn.init.normal_(network.head.weight, std=0.05)
    generator = PoseGenerator(network, 1.2, VIEW_SETS["sixty_between"], SamplerConfig(steps=2), {})
    distiller = Distiller(generator, None, DistillConfig(), 7, None)
    photos, item = store.views(1), store.items[1]
    whole = distiller.candidates(item, photos, tmp_path / "cache")
    (tmp_path / "cache/02.npz").unlink()  # as if the job had been killed before this input
    again = distiller.candidates(item, photos, tmp_path / "cache")
    assert all(np.array_equal(a.view.rgba, b.view.rgba) for a, b in zip(whole, again, strict=True))
    (views,) = generator.generate([photos[2]], [view_seed(7, item.recording, item.frame, photos[2].facts.camera)])
    for made, candidate in zip(views, [c for c in whole if c.row["input"] == photos[2].facts.camera], strict=True):
        np.testing.assert_array_equal(np.rint(made.rgba * 255), np.rint(candidate.view.rgba * 255))


def test_an_input_without_foreground_is_refused(store):
    from dataclasses import replace

    generator = PoseGenerator(PoseNetwork(TINY), 1.2, VIEW_SETS["sixty"], SamplerConfig(), {})
    photo = store.views(0)[0]
    with pytest.raises(DataError, match="no foreground"):
        generator.generate([replace(photo, rgba=np.zeros_like(photo.rgba))], [0])


def test_the_alarm_catches_a_generator_that_copies_its_input(store):
    from mousefacelift.core.samples import View
    from mousefacelift.distill.generators.pose import own_camera
    from mousefacelift.distill.generators.protocol import change_camera

    def camera_of(camera):
        return own_camera(camera, 32, 1.2)

    def copy(photo, cameras):
        return [View(change_camera(photo.rgba, photo.camera, camera_of(photo.camera)), camera_of(c)) for c in cameras]

    def truth(photo, cameras):
        instant = next(store.views(i) for i in range(len(store)) if any(photo is p for p in store.views(i)))
        found = [next(v for v in instant if np.array_equal(v.camera.w2c, c.w2c)) for c in cameras]
        return [View(change_camera(v.rgba, v.camera, camera_of(v.camera)), camera_of(v.camera)) for v in found]

    report = validate(copy, camera_of, store, store)
    assert any("copies its input" in text for text in report["alarms"])
    perfect = validate(truth, camera_of, store, store)
    assert perfect["alarms"] == [] and perfect["generator"]["iou"] == 1.0


def test_alarms_name_what_is_wrong():
    report = {"generator": {"psnr": 9.0}, "copy": {"psnr": 8.0}, "mean": {"psnr": 10.0}, "copy_score": -1.0}
    assert alarms(report) == ["no better than the mean image (9.00 against 10.00 dB)"]
