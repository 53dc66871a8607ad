"""Splat files: a round trip loses nothing that the format can hold, and FaceLift's own file is reproduced."""

import json

import numpy as np
import pytest
import torch
from plyfile import PlyData, PlyElement

from mousefacelift.core.gaussians import Gaussians
from mousefacelift.core.splat_files import read_ply, read_spz, write_ply, write_spz
from mousefacelift.errors import DataError


def some_gaussians(count=40, coefficients=1, seed=0):
    g = torch.Generator().manual_seed(seed)
    return Gaussians(
        torch.randn(count, 3, generator=g) * 0.5,
        torch.randn(count, 4, generator=g),
        torch.rand(count, 3, generator=g) * 0.05 + 1e-3,
        torch.rand(count, generator=g) * 0.98 + 0.01,
        torch.randn(count, coefficients, 3, generator=g),
    )


def assert_close(a, b, atol):
    for name in ("means", "quats", "scales", "opacities", "sh"):
        torch.testing.assert_close(getattr(a, name), getattr(b, name), atol=atol, rtol=1e-5)


@pytest.mark.parametrize("layout", ["facelift", "inria"])
@pytest.mark.parametrize("coefficients", [1, 4, 16])
def test_ply_round_trip_keeps_every_parameter(tmp_path, layout, coefficients):
    gaussians = some_gaussians(coefficients=coefficients)
    path = write_ply(tmp_path / "a.ply", gaussians, layout)
    assert_close(read_ply(path), gaussians, 1e-6)
    assert [p.name for p in tmp_path.iterdir()] == ["a.ply"]


def test_both_layouts_have_45_rest_columns_and_the_default_only_floats(tmp_path):
    default = PlyData.read(write_ply(tmp_path / "i.ply", some_gaussians()))["vertex"].data.dtype
    inria = default.names
    assert {default[name] for name in inria} == {np.dtype("float32")} and default.itemsize == 62 * 4
    facelift = PlyData.read(write_ply(tmp_path / "f.ply", some_gaussians(), "facelift"))["vertex"].data.dtype.names
    assert inria[:6] == ("x", "y", "z", "nx", "ny", "nz") and "f_rest_44" in inria
    assert facelift[:6] == ("x", "y", "z", "red", "green", "blue") and "f_rest_44" in facelift


def test_facelift_file_of_the_fixture_is_reproduced(shared, tmp_path):
    folder = shared / "fixtures" / "facelift" / "gslrm_filters_ply"
    inputs, keep = np.load(folder / "inputs.npz"), json.loads((folder / "expected.json").read_text())["keep_cli"]
    tensors = {name: torch.from_numpy(inputs[name][keep]) for name in inputs if len(inputs[name]) == 400}
    gaussians = Gaussians(
        tensors["xyz"],
        tensors["rotation_raw"],
        tensors["scaling_log"].exp(),
        tensors["opacity_logit"][:, 0].sigmoid(),
        tensors["sh"],
    )
    ours = PlyData.read(write_ply(tmp_path / "ours.ply", gaussians, "facelift"))["vertex"].data
    theirs = PlyData.read(str(folder / "filtered_cli.ply"))["vertex"].data
    assert ours.dtype == theirs.dtype
    for name in ours.dtype.names:
        tolerance = 0 if ours.dtype[name] == np.uint8 else 2e-6  # log(exp) and logit(sigmoid) in float32
        np.testing.assert_allclose(ours[name].astype(float), theirs[name].astype(float), atol=tolerance, rtol=2e-6)
    assert_close(read_ply(folder / "filtered_cli.ply"), gaussians, 1e-6)


def test_spz_is_small_and_within_its_quantisation(tmp_path):
    gaussians = some_gaussians(2000)
    spz, ply = write_spz(tmp_path / "a.spz", gaussians), write_ply(tmp_path / "a.ply", gaussians, "inria")
    back = read_spz(spz)
    assert spz.stat().st_size < 0.35 * ply.stat().st_size
    assert (back.means - gaussians.means).abs().max() < 1 / 2**14
    assert (back.scales / gaussians.scales).log().abs().max() < 1 / 16
    assert (back.opacities - gaussians.opacities).abs().max() < 1 / 250
    unit = torch.nn.functional.normalize(gaussians.quats, dim=-1)
    assert ((back.quats * unit).sum(-1).abs() > 0.9999).all()


def test_full_and_empty_opacity_stay_finite(tmp_path):
    gaussians = some_gaussians(2)
    gaussians.opacities[:] = torch.tensor([0.0, 1.0])
    back = read_ply(write_ply(tmp_path / "a.ply", gaussians))
    torch.testing.assert_close(back.opacities, gaussians.opacities, atol=1e-6, rtol=0)


def test_nan_is_refused_and_leaves_no_file(tmp_path):
    gaussians = some_gaussians()
    gaussians.means[3, 1] = float("nan")
    with pytest.raises(DataError, match="NaN"):
        write_ply(tmp_path / "a.ply", gaussians)
    assert not list(tmp_path.iterdir())


def rewritten(tmp_path, change):
    """The file of some Gaussians with its vertex table changed."""
    table = PlyData.read(str(write_ply(tmp_path / "a.ply", some_gaussians(coefficients=16))))["vertex"].data
    PlyData([PlyElement.describe(change(table), "vertex")]).write(str(tmp_path / "b.ply"))
    return tmp_path / "b.ply"


def put(table, column, value):
    table[column][3] = value
    return table


def more_bands(table):
    """Degree 4, which gsplat writes: 24 coefficients a channel."""
    wide = np.zeros(len(table), table.dtype.descr + [(f"f_rest_{index}", "<f4") for index in range(45, 72)])
    for name in table.dtype.names:
        wide[name] = table[name]
    return put(wide, "f_rest_71", 1.0)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda table: put(table, "y", np.nan), "1 of 40"),
        (lambda table: put(table, "scale_1", 200.0), "1 of 40"),
        (lambda table: table[:0], "no Gaussians"),
        (more_bands, "72 columns f_rest"),
    ],
    ids=["nan", "endless", "empty", "degree_4"],
)
def test_what_other_tools_write_and_nobody_can_draw_is_named(tmp_path, change, words):
    with pytest.raises(DataError, match=words):
        read_ply(rewritten(tmp_path, change))


def test_a_mesh_is_not_a_splat(tmp_path):
    path = tmp_path / "mesh.ply"
    path.write_text(
        "ply\nformat ascii 1.0\nelement vertex 1\nproperty float x\nproperty float y\nproperty float z\nend_header\n0 "
        "0 0\n"
    )
    with pytest.raises(DataError, match="not a Gaussian splat"):
        read_ply(path)
    with pytest.raises(DataError, match="cannot be read"):
        read_ply(tmp_path / "absent.ply")


@pytest.mark.parametrize("coefficients", [1, 4])
def test_the_default_file_opens_in_gsply(tmp_path, coefficients):
    import gsply

    gaussians = some_gaussians(coefficients=coefficients)
    data = gsply.plyread(str(write_ply(tmp_path / "a.ply", gaussians)))
    np.testing.assert_allclose(data.means, gaussians.means, atol=1e-6)
    np.testing.assert_allclose(np.exp(data.scales), gaussians.scales, rtol=1e-5)
    np.testing.assert_allclose(data.quats, gaussians.quats, atol=1e-6)


@pytest.mark.parametrize("version", [2, 3, 4])
def test_spz_versions_are_written_and_read(tmp_path, version):
    gaussians = some_gaussians(300)
    path = write_spz(tmp_path / "a.spz", gaussians, version)
    back = read_spz(path)
    assert (back.means - gaussians.means).abs().max() < 1 / 2**14
    unit = torch.nn.functional.normalize(gaussians.quats, dim=-1)
    assert ((back.quats * unit).sum(-1).abs() > (0.995 if version == 2 else 0.9999)).all()
    data = path.read_bytes()
    for broken in (data[: len(data) // 2], b"NGSP" + (4).to_bytes(4, "little") + bytes(100)):
        (tmp_path / "b.spz").write_bytes(broken)
        with pytest.raises(DataError, match="cannot be read"):
            read_spz(tmp_path / "b.spz")


def test_the_file_that_lgm_writes_is_read(shared):
    """Rows 0 to 5 probe the opacity threshold and the clamp of the logit: 45 of 400 rows are not written."""
    folder = shared / "fixtures/lgm/lgm_ply"
    told = np.load(folder / "gaussians.npz")
    rows = torch.from_numpy(told["gaussians"][0][told["kept"]])
    read = read_ply(folder / "saved.ply")
    torch.testing.assert_close(read.means, rows[:, :3], atol=2e-6, rtol=0)
    torch.testing.assert_close(read.opacities, rows[:, 3], atol=2e-6, rtol=0)
    torch.testing.assert_close(read.scales, rows[:, 4:7], atol=2e-6, rtol=1e-5)
    torch.testing.assert_close(read.quats, rows[:, 7:11], atol=2e-6, rtol=0)
    colors = 0.5 + 0.28209479177387814 * read.sh[:, 0]
    torch.testing.assert_close(colors, rows[:, 11:], atol=2e-6, rtol=0)
