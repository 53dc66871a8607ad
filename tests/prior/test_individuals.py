import numpy as np

from mousefacelift.prior import adapt, individuals
from mousefacelift.prior.config import DataConfig
from mousefacelift.prior.individuals import HELD_OUT, TRACK_SEEDS, draw_individual, draw_pose
from mousefacelift.single import animals
from mousefacelift.virtual import motion
from mousefacelift.virtual.stage import mix_seed


def test_no_recording_can_have_an_animal_or_a_motion_of_the_prior(monkeypatch):
    seeds, true_track = [], motion.make_track
    monkeypatch.setattr(
        individuals.motion, "make_track", lambda steps, seed: seeds.append(seed) or true_track(steps, seed)
    )
    for index in (0, 5, HELD_OUT):
        draw_individual(index, 10)
    largest = max(mix_seed(name, seed) for name in ("mouse1", "a", "zz") for seed in (0, 1, 2**31))
    assert len(seeds) == 3 and min(seeds) >= TRACK_SEEDS > 2**32 > largest
    assert max(seeds) < animals.SEEDS  # where the test beds of protocol S begin


def test_training_replay_and_tests_draw_from_ranges_that_do_not_meet():
    assert DataConfig().individuals < adapt.REPLAY < adapt.REPLAY + 100_000 < HELD_OUT


def test_an_individual_and_its_pose_depend_on_their_numbers_alone():
    first, again = draw_individual(3, 50), draw_individual(3, 50)
    np.testing.assert_array_equal(draw_pose(first, 2)[0], draw_pose(again, 2)[0])
    assert np.abs(draw_pose(first, 1)[0] - draw_pose(first, 2)[0]).max() > 1.0
    assert draw_individual(4, 50).animal != first.animal


def test_poses_stand_on_the_floor():
    individual = draw_individual(11, 50)
    for number in range(4):
        assert draw_pose(individual, number)[0][:, 2].min() >= 0.0
