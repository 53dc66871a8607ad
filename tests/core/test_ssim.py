import pytest
import torch
from pytorch_msssim import ssim as reference

from mousefacelift.core.ssim import ssim, ssim_map, ssim_map_torch, ssim_per_image
from mousefacelift.errors import DataError


def test_it_equals_pytorch_msssim_and_so_do_its_gradients():
    torch.manual_seed(0)
    a, b = torch.rand(2, 3, 40, 37), torch.rand(2, 3, 40, 37)
    b = 0.7 * a + 0.3 * b
    mine, theirs = a.clone().requires_grad_(), a.clone().requires_grad_()
    value, expected = ssim(mine, b), reference(theirs, b, data_range=1.0, size_average=True)
    value.backward(), expected.backward()
    assert abs(float((value - expected).detach())) < 1e-5
    assert (mine.grad - theirs.grad).norm() / theirs.grad.norm() < 1e-4


def test_equal_images_score_one_and_a_change_lowers_only_its_surroundings():
    image = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    changed = image.clone()
    changed[..., 3, 3] = 1 - changed[..., 3, 3]
    values = ssim_map(image, changed)
    assert abs(float(ssim(image, image)) - 1) < 1e-6
    assert values[..., :4, :4].min() < 0.999 and (values[..., 10:, 10:] - 1).abs().max() < 1e-5


def test_images_smaller_than_the_window_are_refused():
    with pytest.raises(DataError, match="at least 11"):
        ssim(torch.zeros(1, 3, 8, 8), torch.zeros(1, 3, 8, 8))


@pytest.mark.parametrize("shape", [(2, 3, 40, 37), (1, 1, 11, 26), (1, 2, 64, 80)])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-11), (torch.float32, 1e-4)])
def test_the_fused_kernels_equal_their_torch_twin_for_both_images(shape, dtype, tolerance):
    g = torch.Generator().manual_seed(2)
    a, weight = torch.rand(shape, generator=g, dtype=dtype), None
    b = 0.6 * a + 0.4 * torch.rand(shape, generator=g, dtype=dtype)
    results = []
    for function in (ssim_map, ssim_map_torch):
        p, q = a.clone().requires_grad_(), b.clone().requires_grad_()
        values = function(p, q)
        weight = torch.randn(values.shape, generator=g, dtype=dtype) if weight is None else weight
        results.append([values.detach(), *torch.autograd.grad((values * weight).sum(), [p, q])])
    for mine, theirs in zip(*results):
        assert (mine - theirs).norm() < tolerance * theirs.norm()


@pytest.mark.parametrize("shape", [(2, 3, 40, 37), (3, 1, 33, 12)])
def test_the_mean_per_image_equals_the_mean_of_the_map_with_gradients_of_one_image_or_both(shape):
    g = torch.Generator().manual_seed(4)
    a, b, weight = (torch.rand(s, generator=g, dtype=torch.float64) for s in (shape, shape, shape[:1]))
    for wanted in ((True, False), (True, True)):
        results = []
        for function in (ssim_per_image, lambda p, q: ssim_map_torch(p, q).mean((1, 2, 3))):
            leaves = [image.clone().requires_grad_(flag) for image, flag in zip((a, b), wanted)]
            values = function(*leaves)
            results.append(
                [values.detach(), *torch.autograd.grad((values * weight).sum(), [x for x in leaves if x.requires_grad])]
            )
        for mine, theirs in zip(*results):
            assert mine.shape == theirs.shape and (mine - theirs).norm() < 1e-11 * theirs.norm()
