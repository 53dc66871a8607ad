"""Videos appear whole or not at all."""

import numpy as np
import pytest

from mousefacelift.core.video import frame_count, write_mp4
from mousefacelift.errors import DataError

from ..limits import files_no_larger_than


def noise(count):
    rng = np.random.default_rng(0)
    return (rng.integers(0, 256, (64, 64, 3), np.uint8) for _ in range(count))


def test_a_full_disk_keeps_the_older_video_and_no_rest(tmp_path):
    write_mp4(tmp_path / "a.mp4", noise(3), 10)
    before = (tmp_path / "a.mp4").read_bytes()
    with files_no_larger_than(20_000), pytest.raises(DataError, match="a.mp4 cannot be written") as caught:
        write_mp4(tmp_path / "a.mp4", noise(60), 10)
    assert "full disk" in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"] and (tmp_path / "a.mp4").read_bytes() == before
    assert write_mp4(tmp_path / "a.mp4", noise(60), 10) == frame_count(tmp_path / "a.mp4") == 60
