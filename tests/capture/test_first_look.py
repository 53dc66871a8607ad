"""The user's first page, docs/first_look.md: its commands are run as they stand there, in order, on a toy recording."""

import os
import re
import subprocess
import sys
from pathlib import Path

import cv2

ROOT = Path(__file__).resolve().parents[2]


def commands_of(page):
    """The shell blocks of a page, in order."""
    return re.findall(r"^```bash\n(.*?)^```$", page.read_text(), flags=re.M | re.S)


def test_the_first_page_can_be_followed_word_for_word(toy, tmp_path):
    folder, cameras, _ = toy
    (tmp_path / "my_recording").symlink_to(folder, target_is_directory=True)
    blocks = commands_of(ROOT / "docs/first_look.md")
    assert len(blocks) == 4
    paths = {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    script = "set -euo pipefail\n" + "\n".join(blocks)
    done = subprocess.run(
        ["bash", "-c", script], cwd=tmp_path, env=os.environ | paths, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert "3 samples" in done.stdout and f"3 frames of {len(cameras)} cameras in look/sheet.png" in done.stdout
    for name in ("rig.html", "rig.png", "track.json", "quality.csv", "quality.png"):
        assert (tmp_path / "look" / name).stat().st_size > 100
    sheet = cv2.imread(str(tmp_path / "look/sheet.png"))
    size = cv2.imread(str(tmp_path / "look/frames/000000/images/cam_000.png")).shape[0]
    rows, columns = (sheet.shape[0] + 4) // (size + 4), (sheet.shape[1] + 4) // (size + 4)
    assert (rows, columns) == (3, len(cameras))
