"""What is wrong with masks is named as what it is, and only where it is."""

from dataclasses import replace

import numpy as np
import pytest

from mousefacelift.capture.audit_report import split_common_movement
from mousefacelift.capture.distinct import distinct_frames
from mousefacelift.capture.mask_faults import find_mask_faults
from mousefacelift.capture.refine import Refinement, refine
from mousefacelift.capture.silhouettes import SilhouetteMaker, stack_silhouettes, working_cameras
from mousefacelift.capture.tangency import Poses
from tests.capture.scenes import SPHERE, animal, draw_mask, random_rig, silhouettes_of

TIMES = np.linspace(0, 8, 16)
SIZE = 288


def seen(cameras, parts_of, spoil=lambda view, mask: mask):
    """Silhouettes of what `parts_of(view, t)` lists, each mask put through `spoil`."""
    makers = [SilhouetteMaker(c.lens, c.width, c.height) for c in cameras]
    rows = [
        [
            maker.make(spoil(v, draw_mask(camera, parts_of(v, t))))
            for v, (maker, camera) in enumerate(zip(makers, cameras))
        ]
        for t in TIMES
    ]
    return stack_silhouettes(np.arange(len(TIMES)), rows)


def faults(cameras, silhouettes):
    return find_mask_faults(working_cameras([c.pinhole() for c in cameras])[0], silhouettes)


def test_true_masks_have_no_faults():
    for seed in range(4):
        cameras = random_rig(seed, 3 + seed, SIZE)
        found = faults(cameras, silhouettes_of(cameras, TIMES, seed))
        assert found.says == [""] * len(cameras) and found.bodies == 1 and found.poses > 8


@pytest.mark.slow
def test_true_masks_have_no_faults_in_50_rigs():
    for seed in range(50):
        cameras = random_rig(seed, None, SIZE)
        found = faults(cameras, silhouettes_of(cameras, TIMES, seed))
        assert not any(found.says) and found.bodies == 1, (seed, found)


def test_bedding_in_the_masks_is_static():
    cameras = random_rig(2, 5, SIZE)
    heap = SPHERE * [14, 14, 9] + [-75, 52, 0]
    found = faults(cameras, seen(cameras, lambda v, t: [*animal(t, 2), heap]))
    assert sum("never moves" in text for text in found.says) >= 4 and found.static.max() > 0.2


def test_the_reflection_in_the_floor_is_named_in_its_camera():
    cameras = random_rig(4, 6, SIZE)
    found = faults(
        cameras,
        seen(cameras, lambda v, t: animal(t, 4) + ([p * [1, 1, -1] for p in animal(t, 4)] if v == 1 else [])),
    )
    assert "reflection" in found.says[1] and not any(text for v, text in enumerate(found.says) if v != 1)


def test_something_beside_the_animal_is_a_second_body():
    cameras = random_rig(4, 6, SIZE)
    beside = [140.0, 20.0, 0.0]
    found = faults(
        cameras, seen(cameras, lambda v, t: animal(t, 4) + ([p * 0.6 + beside for p in animal(t, 4)] if v == 2 else []))
    )
    assert "second body" in found.says[2] and not any(text for v, text in enumerate(found.says) if v != 2)
    both = faults(cameras, seen(cameras, lambda v, t: animal(t, 4) + [p + [150, 0, 0] for p in animal(t, 4)]))
    assert both.bodies == 2


def test_an_occluder_and_lost_parts_are_told_apart():
    cameras = random_rig(6, 6, SIZE)

    def post(view, mask):
        mask = mask.copy()
        if view == 3:
            columns = np.flatnonzero(np.any([draw_mask(cameras[3], animal(t, 6)) for t in TIMES], axis=(0, 1)))
            middle = (columns[0] + columns[-1]) // 2
            mask[:, middle - 20 : middle + 20] = 0
        return mask

    def half(view, mask):
        mask, rows = mask.copy(), np.flatnonzero(mask.any(1))
        if view == 3 and len(rows):
            mask[(rows[0] + rows[-1]) // 2 :] = 0
        return mask

    behind = faults(cameras, seen(cameras, lambda v, t: animal(t, 6), post))
    assert "occluder" in behind.says[3] and not any(text for v, text in enumerate(behind.says) if v != 3)
    lost = faults(cameras, seen(cameras, lambda v, t: animal(t, 6), half))
    assert "lack parts" in lost.says[3] and not any(text for v, text in enumerate(lost.says) if v != 3)


def test_a_resting_animal_is_one_pose_and_proves_no_correction():
    cameras = random_rig(1, 5, SIZE)
    resting = silhouettes_of(cameras, np.full(20, 1.5), 1)
    assert len(distinct_frames(resting)) == 1 and faults(cameras, resting).poses == 1
    poses = Poses.of([c.w2c for c in cameras], [c.lens.fxfycxcy[:2].mean() for c in cameras])
    moved = replace(poses, shift=poses.shift + 0.02)
    assert refine(resting, moved, "auto", SIZE).kind == "off"
    assert refine(silhouettes_of(cameras, TIMES, 1), replace(poses, shift=_errors(poses)), "auto", SIZE).kind != "off"


def _errors(poses):
    return np.random.default_rng(0).normal(0, 0.012, poses.shift.shape)


def test_copied_frames_count_once():
    cameras = random_rig(1, 4, SIZE)
    copied = silhouettes_of(cameras, np.repeat([0.0, 2.0, 5.0], 6), 1)
    assert distinct_frames(copied).tolist() == [0, 6, 12]


def test_a_common_movement_of_the_world_is_taken_out_of_the_shifts():
    cameras = random_rig(5, 6, SIZE)
    poses = Poses.of([c.w2c for c in cameras], [c.lens.fxfycxcy[:2].mean() for c in cameras])
    center, movement = np.array([48.0, 52.0, 20.0]), np.array([1.5, -0.8, 0.6])
    before, after = (
        np.stack(
            [
                f * (local := R @ (point - c))[:2] / local[2]
                for R, c, f in zip(poses.rotation, poses.center, poses.focal)
            ]
        )
        for point in (center, center + movement)
    )
    nothing = np.zeros((6, 3))
    correction = Refinement("principal_point", after - before, nothing, np.zeros(6), 1.0, 0.5)
    own, common = split_common_movement(correction, poses, center)
    assert np.abs(own).max() < 0.05 and common == pytest.approx(movement, abs=0.05)
    one = correction.shift.copy()
    one[2] += [4.0, 0.0]
    own, _ = split_common_movement(replace(correction, shift=one), poses, center)
    assert np.linalg.norm(own, axis=1).argmax() == 2
