"""Small images come back as they were kept, in whatever order, however many blocks they fill."""

import pytest
import torch

from mousefacelift.check import small_images
from mousefacelift.check.small_images import SmallImages


def test_images_of_several_shapes_come_back_by_key_and_stacked_in_the_order_asked(monkeypatch):
    monkeypatch.setattr(small_images, "BLOCK", 2)
    kept, draw = SmallImages(), torch.Generator().manual_seed(0)
    images = {
        ("m", frame): torch.rand(3 if frame != 4 else 2, 4, 4, generator=draw).half().float() for frame in range(6)
    }
    for key, image in images.items():
        kept.add(key, image)
    assert all(torch.equal(kept[key], image) for key, image in images.items())
    keys = [("m", 5), ("m", 0), ("m", 3)]
    assert torch.equal(kept.stack(keys), torch.stack([images[key] for key in keys]))
    with pytest.raises(KeyError):
        kept["nobody"]
