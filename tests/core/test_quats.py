"""Products of quaternions against SciPy."""

import numpy as np
import torch
from scipy.spatial.transform import Rotation

from mousefacelift.core.gaussians import multiply_quats


def test_the_product_turns_first_by_the_second(rng):
    first, second = (Rotation.from_quat(rng.normal(size=(5, 4))) for _ in range(2))
    a, b = (torch.from_numpy(r.as_quat()[:, [3, 0, 1, 2]]) for r in (first, second))
    product = multiply_quats(a, b).numpy()[:, [1, 2, 3, 0]]
    np.testing.assert_allclose(Rotation.from_quat(product).as_matrix(), (first * second).as_matrix(), atol=1e-12)
