"""Our PNGs are read by everybody's decoder, byte for byte what was written."""

import io
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image

from mousefacelift.core.png import png_bytes


@pytest.mark.parametrize("shape", [(5, 7), (8, 1), (1, 9, 3), (16, 12, 3), (33, 20, 4), (1, 1, 4)])
@pytest.mark.parametrize("level", [0, 1, 6])
def test_pillow_and_opencv_read_back_what_was_written(shape, level, rng):
    image = rng.integers(0, 256, shape, dtype=np.uint8)
    data = png_bytes(image, level)
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(data))), image)
    decoded = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    expected = image if image.ndim == 2 else image[..., [2, 1, 0, 3][: image.shape[2]]]
    np.testing.assert_array_equal(decoded, expected)


def test_equal_pictures_give_equal_bytes_and_views_are_accepted(rng):
    image = rng.integers(0, 256, (20, 30, 4), dtype=np.uint8)
    assert png_bytes(image) == png_bytes(image.copy())
    assert png_bytes(image[::2, ::-1]) == png_bytes(np.ascontiguousarray(image[::2, ::-1]))


@pytest.mark.parametrize("rows", [(0, 40), (0, 3), (37, 40), (11, 12), (9, 31)])
@pytest.mark.parametrize("level", [0, 1])
def test_rows_that_show_nothing_are_left_out_of_the_work_and_not_of_the_picture(rows, level, rng):
    image = np.zeros((40, 300, 4), np.uint8)
    image[rows[0] : rows[1], 100:200] = rng.integers(0, 256, (rows[1] - rows[0], 100, 4), dtype=np.uint8)
    data = png_bytes(image, level)
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(data))), image)
    packed = zlib.decompressobj()
    whole = packed.decompress(data[data.index(b"IDAT") + 4 :])  # a wrong checksum of the stream raises
    assert packed.eof and len(whole) == 40 * 1201


def test_an_empty_picture_is_small():
    assert len(png_bytes(np.zeros((512, 512, 4), np.uint8))) < 6000
