"""A page per source (docs/sources): its files are laid out as the page says, its commands are run as they stand."""

import json
import re
import shlex
from pathlib import Path

import pytest
import yaml

from mousefacelift.capture.readers import FORMATS
from mousefacelift.cli import main
from mousefacelift.planning import refuse_cameras
from mousefacelift.schema import complete
from tests.capture.conftest import even
from tests.capture.scenes import random_rig, raw, write_recording
from tests.capture.test_first_look import commands_of

PAGES = Path(__file__).resolve().parents[2] / "docs/sources"
FRAMES = 14  # once around the arena: a median picture forgets the animal


@pytest.fixture(autouse=True)
def exact_keys():
    """A user's own command, not a rule's: keys that it does not give have their defaults."""


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """(folder with videos/ and masks/ as {place}.mp4, true cameras): five cameras without distortion."""
    folder = tmp_path_factory.mktemp("plain")
    cameras = even(random_rig(3, 5, 224, distortion=False))
    write_recording(folder, cameras, FRAMES, fps=1.5, seed=3)
    return folder, cameras


def layout(kind, plain, root):
    """The toy recording as `my_recording` below `root`, in the files of the page `kind`; its number of cameras."""
    folder, cameras = plain
    names = {"dannce": "Camera{}", "anipose": "{}", "jarvis": "Camera_{}"}.get(kind, "{}")
    letters = "ABCDE" if kind in ("anipose", "jarvis") else "12345" if kind == "dannce" else "01234"
    count, mine = 4 if kind == "four_cameras" else 5, root / "my_recording"
    stated = []
    for place, camera in enumerate(raw(cameras)[:count]):
        name = names.format(letters[place])
        stated.append(type(camera)(name, *(getattr(camera, key) for key in list(camera.__dataclass_fields__)[1:])))
        for part in ("videos", "masks"):
            if part == "masks" and kind == "no_masks":
                continue
            whole = f"{name}/0.mp4" if kind == "dannce" and part == "videos" else f"{name}.mp4"
            (mine / part / whole).parent.mkdir(parents=True, exist_ok=True)
            (mine / part / whole).symlink_to(folder / part / f"{place}.mp4")
    write = {
        "dannce": ("dannce_mat", "label3d_dannce.mat"),
        "anipose": ("anipose_toml", "calibration.toml"),
        "jarvis": ("jarvis", "calibration"),
        "pose_splatter": ("camera_hdf5", "calibration.h5"),
        "colmap": ("colmap", "sparse/0/"),
    }.get(kind, ("opencv_json", "cameras.json"))
    (mine / write[1]).parent.mkdir(parents=True, exist_ok=True)
    FORMATS[write[0]].write(mine / write[1], stated)
    return count


@pytest.mark.parametrize("kind", sorted(path.stem for path in PAGES.glob("*.md")))
def test_the_page_of_a_source_can_be_followed_word_for_word(kind, plain, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    count = layout(kind, plain, tmp_path)
    page = PAGES / f"{kind}.md"
    for block in commands_of(page):
        for line in filter(None, block.splitlines()):
            program, *words = shlex.split(line)
            assert program == "mousefacelift"
            assert main(words) == 0, capsys.readouterr().err
    rig = json.loads((tmp_path / "look/rig.json").read_text())
    assert len(rig["cameras"]) == count and min(row["hull_iou"] for row in rig["report"]["cameras"]) > 0.75
    assert rig["report"]["convention"] == "R w2c OpenCV" and 95 < rig["report"]["animal"]["length_mm"] < 145
    assert ("cameras leave a gap" in capsys.readouterr().out) is (count < 6)
    for block in re.findall(r"^```yaml\n(.*?)^```$", page.read_text(), flags=re.M | re.S):
        refuse_cameras(complete(yaml.safe_load(block)))
    if kind == "no_masks":
        assert (tmp_path / "look/masks.html").read_text().count("<img") == 3 * count


def test_every_page_is_named_in_the_capture_page_and_reaches_the_others():
    listed = (PAGES.parent / "capture.md").read_text()
    for page in PAGES.glob("*.md"):
        assert f"sources/{page.name}" in listed
        for link in re.findall(r"\]\(([^)#]+)", page.read_text()):
            assert (PAGES / link).is_file(), (page.name, link)
