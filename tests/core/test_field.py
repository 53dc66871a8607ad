"""Radiance fields: the kernels against a naive march and double precision torch, a cube whose corners are known."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from mousefacelift.core.camera_tensors import CameraTensors
from mousefacelift.core.cameras import canonical_fxfycxcy, orbit, project, rays
from mousefacelift.core.field import EMPTY, Field, march, pixel_rays, render_field
from mousefacelift.core.field.dense import march_dense
from mousefacelift.core.field.kernels import STEP, STOP, smoothness_gradient
from mousefacelift.core.render import straight_rgba
from mousefacelift.core.render.jit import run
from mousefacelift.errors import DataError

SIZE = 40


def random_field(shape=(14, 11, 12), dtype=torch.float64, seed=0):
    """Blobs of random density with holes, part of the voxels not active."""
    rng = np.random.default_rng(seed)
    values = np.concatenate([rng.normal(-1.0, 1.5, (*shape, 1)), rng.random((*shape, 3))], -1)
    active = rng.random(shape) < 0.7
    values[~active] = [EMPTY, 0, 0, 0]
    voxel = 0.1
    return Field(torch.from_numpy(values).to(dtype), active, -0.5 * voxel * np.array(shape), voxel)


def some_cameras():
    return [orbit(a, e, 2.7, canonical_fxfycxcy(SIZE), SIZE, SIZE) for a, e in ((20, 10), (140, -5), (250, 60))]


def naive_pixel(field, camera, row, column):
    """rgb, alpha, depth of one pixel, sample by sample from the optical centre on."""
    origin, directions = rays(camera)
    values, shape = field.values.double().numpy(), np.array(field.active.shape)
    ahead = directions[row, column] @ camera.R[2]
    through, total = 1.0, np.zeros(5)
    for n in range(2000):
        distance = (n + 0.5) * STEP * field.voxel
        place = (origin + distance * directions[row, column] - field.origin) / field.voxel - 0.5
        cell = np.floor(place).astype(int)
        if (cell < 0).any() or (cell >= shape - 1).any():
            continue
        corners = [cell + np.array(c) for c in np.ndindex(2, 2, 2)]
        if not any(field.active[tuple(c)] for c in corners):
            continue
        weights = [np.prod(1 - np.abs(place - c)) for c in corners]
        f, *rgb = sum(w * values[tuple(c)] for w, c in zip(weights, corners))
        alpha = 1 - np.exp(-np.log1p(np.exp(f)) * STEP)
        total += through * alpha * np.array([*rgb, 1.0, distance * ahead])
        through *= 1 - alpha
        if through < STOP:
            break
    return total


def test_every_pixel_is_that_of_a_naive_march():
    field, cameras = random_field(), some_cameras()
    picture = render_field(field, CameraTensors.from_cameras(cameras, dtype=torch.float64))
    ours = torch.cat([picture.rgb, picture.alpha[..., None], picture.depth[..., None]], -1).numpy()
    for view, camera in enumerate(cameras):
        for row, column in ((20, 20), (14, 25), (26, 17), (0, 0), (20, 31)):
            np.testing.assert_allclose(ours[view, row, column], naive_pixel(field, camera, row, column), atol=1e-9)
    assert ours[..., 3].max() > 0.9 and ours[:, 0, 0].max() == 0


def rays_and_weights(field):
    every = pixel_rays(field, CameraTensors.from_cameras(some_cameras(), dtype=torch.float64))
    hit = every.select(every.count > 0)
    g = torch.Generator().manual_seed(1)
    return hit, [
        torch.randn(*size, generator=g, dtype=torch.float64) for size in ((len(hit), 3), (len(hit),), (len(hit),))
    ]


@pytest.mark.parametrize("dtype, tolerance", [(torch.float64, 1e-6), (torch.float32, 2e-3)])
def test_values_and_gradients_equal_the_twin_in_double_precision(dtype, tolerance):
    field = random_field()
    hit, weights = rays_and_weights(field)
    results = []
    for kind, marcher in ((dtype, None), (torch.float64, march_dense)):
        values = field.values.to(kind).requires_grad_()
        cut = pixel_rays(field.with_values(values.detach()), CameraTensors.from_cameras(some_cameras()))
        cut = hit if kind == torch.float64 else cut.select(cut.count > 0)
        seen = march_dense(values, field.live, cut) if marcher else march(field.with_values(values), cut)
        loss = sum((part * w.to(kind)).sum() for part, w in zip(seen, weights))
        results.append((seen, torch.autograd.grad(loss, values)[0]))
    (ours, gradient), (twin, expected) = results
    for a, b in zip(ours, twin):
        torch.testing.assert_close(a.double(), b, atol=tolerance, rtol=tolerance)
    torch.testing.assert_close(
        gradient.double(), expected, atol=tolerance * float(expected.abs().max()), rtol=tolerance
    )
    assert expected.abs().max() > 0.1


def test_a_gradient_is_the_difference_that_a_small_change_makes():
    field = random_field((6, 5, 6))
    hit, weights = rays_and_weights(field)

    def loss(values):
        return sum((part * w).sum() for part, w in zip(march(field.with_values(values), hit), weights))

    values = field.values.clone().requires_grad_()
    gradient = torch.autograd.grad(loss(values), values)[0]
    for place in ((2, 2, 2, 0), (3, 2, 3, 1), (1, 3, 4, 0), (4, 1, 1, 3)):
        step = torch.zeros_like(field.values)
        step[place] = 1e-5
        difference = (loss(field.values + step) - loss(field.values - step)) / 2e-5
        assert float(gradient[place]) == pytest.approx(float(difference), rel=1e-5, abs=1e-7)


def test_bits_do_not_depend_on_the_number_of_threads():
    field = random_field((30, 20, 20), torch.float32)
    every = pixel_rays(field, CameraTensors.from_cameras(some_cameras()))
    hit = every.select(every.count > 0)
    results, before = [], torch.get_num_threads()
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            values = field.values.clone().requires_grad_()
            seen = march(field.with_values(values), hit)
            (seen.rgb.square().sum() + seen.alpha.sum()).backward()
            results.append((*(part.detach() for part in seen), values.grad))
    finally:
        torch.set_num_threads(before)
    for other in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(results[0], other))


def cube(edge=0.8, voxels=24):
    """An opaque cube about the origin, its colour the place: rgb = world / edge + 0.5."""
    half = (voxels + 6) // 2
    centre = (np.arange(-half, half) + 0.5) * edge / voxels
    place = np.stack(np.meshgrid(centre, centre, centre, indexing="ij"), -1)
    inside = np.abs(place).max(-1) < edge / 2
    values = np.concatenate([np.where(inside, 12.0, EMPTY)[..., None], place / edge + 0.5], -1)
    return Field(
        torch.from_numpy(values).float(), np.ones_like(inside), np.full(3, -half * edge / voxels), edge / voxels
    )


def test_a_textured_cube_has_its_corners_colours_and_depth_where_they_are():
    field, size, edge = cube(), 256, 0.8
    for azimuth, elevation in ((30, 25), (200, 50)):
        camera = orbit(azimuth, elevation, 2.7, canonical_fxfycxcy(size), size, size)
        (rgba,), (depth,) = straight_rgba(render_field(field, CameraTensors.from_cameras([camera])))
        corners = edge / 2 * np.array(list(np.ndindex(2, 2, 2))) * 2 - edge / 2
        pixels, z = project(camera, corners)
        mask = rgba[..., 3] > 0.5
        rows, columns = np.nonzero(mask)
        # the surface lies within a voxel of the cube's, 3.4 px here
        for axis, found in ((0, columns), (1, rows)):
            assert abs(found.min() - pixels[:, axis].min()) < 3.4 and abs(found.max() + 1 - pixels[:, axis].max()) < 3.4
        near = np.argmin(z)
        column, row = np.floor(pixels[near]).astype(int)
        assert depth[row, column] == pytest.approx(z[near], abs=2 * field.voxel)
        np.testing.assert_allclose(rgba[row, column, :3], corners[near] / edge + 0.5, atol=0.12)
        wrong = corners[np.argmax(z)] / edge + 0.5
        assert np.abs(rgba[row, column, :3] - wrong).max() > 0.5


def test_cells_that_do_not_count_let_all_light_pass_and_get_no_gradient():
    field = random_field()
    hit, _ = rays_and_weights(field)
    assert float(march(field, hit, np.zeros_like(field.live)).alpha.abs().max()) == 0
    front = field.live.copy()
    front[7:] = 0
    values = field.values.clone().requires_grad_()
    march(field.with_values(values), hit, front).alpha.sum().backward()
    assert float(values.grad[8:].abs().max()) == 0 and float(values.grad[:7].abs().max()) > 0


def test_rays_per_pixel_average():
    field = cube()
    cameras = CameraTensors.from_cameras(some_cameras())
    fine = CameraTensors.from_cameras([c.scaled_to(2 * SIZE, 2 * SIZE) for c in some_cameras()])
    mean = render_field(field, fine).alpha.reshape(3, SIZE, 2, SIZE, 2).mean((2, 4))
    torch.testing.assert_close(render_field(field, cameras, oversample=2).alpha, mean, atol=1e-5, rtol=0)


def test_the_smoothness_gradient_is_that_of_squared_differences_between_active_neighbours():
    field = random_field()
    values, active = field.values.clone().requires_grad_(), torch.from_numpy(field.active)
    weights, total = torch.tensor([0.3, 1.0, 2.0, 0.5], dtype=torch.float64), 0.0
    for axis in range(3):
        size = values.shape[axis] - 1
        pair = active.narrow(axis, 0, size) & active.narrow(axis, 1, size)
        total = total + ((values.diff(dim=axis)[pair]) ** 2 * weights).sum()
    expected = torch.autograd.grad(total, values)[0]
    ours = torch.empty_like(expected)
    arrays = (field.values.numpy(), field.active, weights.numpy(), ours.numpy())
    run(smoothness_gradient, len(field.active), *arrays)
    torch.testing.assert_close(ours, expected)


def test_a_field_survives_its_file(tmp_path):
    field = random_field(dtype=torch.float32)
    field.save(tmp_path / "field.npz")
    again = Field.read(tmp_path / "field.npz")
    assert torch.equal(again.values, field.values) and np.array_equal(again.active, field.active)
    assert np.array_equal(again.origin, field.origin) and again.voxel == field.voxel


def test_broken_files_and_shapes_are_named(tmp_path):
    field = random_field(dtype=torch.float32)
    path = tmp_path / "field.npz"
    np.savez(path, values=np.zeros((3, 4), np.float32), active=field.active, box=np.ones(4))
    with pytest.raises(DataError, match="field.npz"):
        Field.read(path)
    with pytest.raises(DataError, match="wrong shapes"):
        replace(field, active=field.active[:-1])
    with pytest.raises(DataError, match="precision"):
        march(field, pixel_rays(random_field(), CameraTensors.from_cameras(some_cameras())))
