import numpy as np
import torch

from mousefacelift.prior.batches import make_batch, stream
from mousefacelift.prior.shards import Shards
from mousefacelift.prior.template import build_template


class Always:
    """A random source that mirrors everything and changes nothing else."""

    def uniform(self, *args, size=None):
        return np.zeros(size)

    def normal(self, *args, size=None):
        return np.zeros(size)

    def integers(self, low, high, size=None):
        return np.full(size, low)

    def standard_normal(self, shape, dtype):
        return np.zeros(shape, dtype)


def test_a_mirrored_row_shows_the_mirrored_animal_from_the_mirrored_side(shard):
    mirror = torch.from_numpy(build_template().mirror)
    rows = Shards([shard]).rows(np.arange(4))
    plain, mirrored = make_batch(rows, mirror, None), make_batch(rows, mirror, Always())
    torch.testing.assert_close(mirrored.heading, -plain.heading)
    torch.testing.assert_close(
        mirrored.points, plain.points[:, mirror] * torch.tensor([1.0, -1.0, 1.0]), atol=1e-5, rtol=0
    )
    alpha = mirrored.picture[:, 3, 8:]  # the stand-in also cuts out the corner
    torch.testing.assert_close(alpha, plain.picture[:, 3, 8:].flip(-1))


def test_batch_k_is_the_same_whether_or_not_the_batches_before_it_were_made(shard):
    mirror, shards = torch.from_numpy(build_template().mirror), Shards([shard])
    whole = stream(shards, mirror, 4, 0, 0, 0.7)
    next(whole)
    expected, resumed = next(whole), next(stream(shards, mirror, 4, 0, 1, 0.7))
    torch.testing.assert_close(resumed.picture, expected.picture)
    torch.testing.assert_close(resumed.points, expected.points)
