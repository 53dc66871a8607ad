"""What a configuration will not get as it asks is said when it is planned; the default and plain ones say little."""

import pytest

from mousefacelift.notes import notes
from mousefacelift.schema import complete


def config(**changes):
    given = {"recordings": {"m1": {"path": "virtual", "frames": [0, 48]}}, "virtual": {"frames": 48}}
    for key, value in changes.items():
        *parents, last = key.split("__")
        node = given
        for name in parents:
            node = node.setdefault(name, {})
        node[last] = value
    return complete(given)


QUIET = {"loader__inputs": [3, 4]}


def test_inputs_that_a_rig_does_not_have_are_said_with_what_it_has():
    assert notes(config(**QUIET)) == []
    assert notes(config()) == [
        "loader.inputs allows 5 input views: a step with photos of recording 'm1', 6 cameras, one held out, shows 4 at "
        "most (loader.unseen_targets 1)"
    ]
    assert notes(config(dataset__splits__held_out_camera=None)) == []
    (note,) = notes(config(virtual__rig="ring", virtual__cameras=5, dataset__splits__held_out_camera=0))
    assert "5 cameras, one held out, shows 3 at most" in note


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"train__steps": 10}, "warmup_steps is 30 in a run of 10 steps"),
        ({"train__loss__perceptual": 0.5, "train__steps": 400}, "perceptual would join after 500 steps"),
        ({"capture__unet_weights": "u2net.onnx"}, "capture.unet_weights is not read: capture.mask_backend is given"),
        (
            {"recordings__m1__exclude": [3, 48, 99]},
            "m1.exclude names frames outside of recordings.m1.frames, 0 to 47: 48, 99",
        ),
        ({"recordings__m1__cuts": list(range(60, 70))}, "60, 61, 62, 63, 64 and 5 more"),
        ({"splats__fit__optimise__views": 9}, "compares all 5"),
        (
            {"capture__locate__tolerance": 4},
            "capture.locate.tolerance is 4: of recording 'm1', 6 cameras, one held out, 3 may",
        ),
        (
            {"splats__fit__hull__tolerance": 4},
            "splats.fit.hull.tolerance is 4: of recording 'm1', 6 cameras, one held out, 3 may",
        ),
    ],
)
def test_a_value_that_is_lowered_or_that_nothing_reads_is_said(changes, words):
    (note,) = notes(config(**QUIET, **changes))
    assert words in note
