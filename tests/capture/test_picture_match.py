"""Colours that belong to other masks are named for what they are; those that belong are left alone."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mousefacelift.capture.audit import audit
from mousefacelift.capture.config import AuditConfig, RecordingSource
from mousefacelift.capture.picture_match import judge_pictures, match_pictures
from mousefacelift.capture.readers import opencv_json
from mousefacelift.capture.recording import open_recording
from mousefacelift.cli import main
from mousefacelift.core.video import read_frames, write_mp4
from mousefacelift.errors import DataError
from mousefacelift.virtual.config import Degradations, VirtualConfig
from mousefacelift.virtual.record import write_recording as write_virtual
from tests.capture.scenes import random_rig, raw, write_recording

FRAMES = np.arange(24)


@pytest.fixture(scope="module")
def filmed(tmp_path_factory):
    """Folder, matches and films of four cameras of one size."""
    folder = tmp_path_factory.mktemp("filmed")
    cameras = [replace(c, width=256, height=200) for c in random_rig(3, 4, 256)]
    write_recording(folder, cameras, len(FRAMES), seed=3)
    opencv_json.write(folder / "cameras.json", raw(cameras))
    videos, masks = ([str(folder / kind / f"{v}.mp4") for v in range(4)] for kind in ("videos", "masks"))
    return folder, *match_pictures(videos, masks, FRAMES, 6)


def judge(films, view, change):
    """The verdict on one camera whose pictures were put through `change` (a list of T pictures or None)."""
    film = films[view]
    spoiled = replace(film, edges=change(film.edges), changes=change(film.changes))
    return judge_pictures([spoiled if v == view else f for v, f in enumerate(films)], view, FRAMES, 6)


def test_pictures_of_their_own_masks_are_left_alone(filmed):
    assert [match.reading for match in filmed[1]] == [""] * 4
    assert min(match.fit - match.chance for match in filmed[1]) > 0.1


@pytest.mark.parametrize(
    "turn, reading",
    [
        (lambda picture: picture[::-1, ::-1], "turned by 180 degrees"),
        (lambda picture: picture[:, ::-1], "mirrored left to right"),
        (lambda picture: picture[::-1], "mirrored top to bottom"),
    ],
)
def test_turned_and_mirrored_pictures_are_named(filmed, turn, reading):
    for view in range(4):
        assert (
            judge(filmed[2], view, lambda pictures: [p if p is None else turn(p) for p in pictures]).reading == reading
        )


@pytest.mark.parametrize("late", [3, 5, -4])
def test_late_and_early_pictures_are_named_with_their_frames(filmed, late):
    def shifted(pictures):
        return [pictures[t - late] if 0 <= t - late < len(pictures) else None for t in range(len(pictures))]

    for view in range(4):
        assert judge(filmed[2], view, shifted).late == pytest.approx(late, abs=1)


def test_swapped_cameras_are_named_by_each_other(filmed):
    a, b = filmed[2][:2]
    films = [
        replace(a, edges=b.edges, changes=b.changes),
        replace(b, edges=a.edges, changes=a.changes),
        *filmed[2][2:],
    ]
    assert [judge_pictures(films, view, FRAMES, 6).other_camera for view in range(4)] == [1, 0, None, None]


def test_pictures_of_another_recording_in_the_same_arena_are_named(filmed, tmp_path):
    cameras = [replace(c, width=256, height=200) for c in random_rig(3, 4, 256)]
    write_recording(tmp_path, cameras, len(FRAMES), seed=8)
    videos = [str(tmp_path / "videos" / f"{v}.mp4") for v in range(4)]
    masks = [str(filmed[0] / "masks" / f"{v}.mp4") for v in range(4)]
    readings = [match.reading for match in match_pictures(videos, masks, FRAMES, 6)[0]]
    assert sum("another recording" in reading for reading in readings) >= 3


def test_a_resting_animal_is_no_reason_to_refuse(filmed):
    """Nothing changes in the pictures, so only edges tell; they still do."""
    film = filmed[2][0]
    still = replace(
        film,
        **{name: [getattr(film, name)[0]] * len(FRAMES) for name in ("outlines", "insides", "edges")},
        changes=[np.full_like(film.changes[0], 127)] * len(FRAMES),
    )
    assert judge_pictures([still, *filmed[2][1:]], 0, FRAMES, 6).reading == ""


@pytest.fixture(scope="module")
def resting(tmp_path_factory):
    """Videos and masks of a virtual animal that rests, with all defects of real pictures, and its frames."""
    folder = tmp_path_factory.mktemp("resting")
    config = VirtualConfig(frames=12, degradations=Degradations(resting=True, cut=False, dropped_frame_camera=-1))
    write_virtual(folder, "rest", config, 0)
    return [[str(folder / kind / f"{v}.mp4") for v in range(6)] for kind in ("videos_undist", "simpleclick_undist")]


def test_pictures_of_an_animal_that_rests_belong_to_its_masks(resting):
    """What changes in them is noise and light, more around the animal than on its dark fur."""
    matches, _ = match_pictures(*resting, np.arange(12), 6)
    assert [match.reading for match in matches] == [""] * 6


def test_turned_pictures_of_an_animal_that_rests_are_named(resting, tmp_path):
    videos, masks = resting
    frames = [bgr[::-1, ::-1, ::-1] for _, bgr in read_frames(Path(videos[2]), np.arange(12))]
    write_mp4(tmp_path / "turned.mp4", frames, 4.0, crf=12)
    matches, _ = match_pictures([*videos[:2], str(tmp_path / "turned.mp4"), *videos[3:]], masks, np.arange(12), 6)
    assert matches[2].reading == "turned by 180 degrees" and not any(m.reading for v, m in enumerate(matches) if v != 2)


def test_the_audit_refuses_an_upside_down_file_and_draws_it(filmed, tmp_path, capsys):
    folder, spoiled = filmed[0], tmp_path / "spoiled"
    for kind in ("videos", "masks"):
        (spoiled / kind).mkdir(parents=True)
        for v in range(4):
            (spoiled / kind / f"{v}.mp4").write_bytes((folder / kind / f"{v}.mp4").read_bytes())
    (spoiled / "cameras.json").write_bytes((folder / "cameras.json").read_bytes())
    frames = [bgr[::-1, ::-1, ::-1] for _, bgr in read_frames(folder / "videos" / "2.mp4", FRAMES)]
    write_mp4(spoiled / "videos" / "2.mp4", frames, 10.0, crf=12)
    assert main(["capture", "audit", str(spoiled), "--out", str(tmp_path / "rig.json")]) == 2
    error = capsys.readouterr().err
    assert "c2: turned by 180 degrees" in error and "refused.png" in error
    assert (tmp_path / "rig.refused.png").stat().st_size > 5000 and not (tmp_path / "rig.json").exists()
    assert "not proven" in (tmp_path / "rig.html").read_text()
    source = RecordingSource(frames=(0, len(FRAMES)))
    with pytest.raises(DataError, match="do not belong"):
        audit(open_recording("x", spoiled, source), source, AuditConfig())
