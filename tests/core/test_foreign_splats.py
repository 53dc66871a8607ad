"""Splat files that we write, opened by the programs of others; each format by at least two."""

from __future__ import annotations

import json
import subprocess

import numpy as np
import pytest
import torch
from plyfile import PlyData

from mousefacelift.core.splat_files import FORMATS, write_ply, write_spz
from tests.core.test_ply import some_gaussians
from tests.peers import install, install_node, run_python


def expected(gaussians):
    """What a file holds, as float arrays."""
    unit = torch.nn.functional.normalize(gaussians.quats.double(), dim=-1)
    return {
        "means": gaussians.means.numpy(),
        "scales": gaussians.scales.log().numpy(),
        "opacity": torch.logit(gaussians.opacities).numpy(),
        "color": gaussians.sh[:, 0].numpy(),
        "quats": unit.numpy(),  # w x y z
    }


def assert_read(found, gaussians, name):
    """PLY is exact; SPZ rounds to 2**-14, sixteenths of a log scale, 8 bits, and 8 (version 2) or 10 of a rotation."""
    loose = name.startswith("spz")
    tolerance = {"means": 1e-4, "scales": 0.04, "opacity": 0.35, "color": 0.03} if loose else {}
    cosine = 0.995 if name == "spz2" else 0.9999 if loose else 1 - 1e-6
    for field, values in expected(gaussians).items():
        ours = np.asarray(found[field], np.float64).reshape(values.shape)
        if field == "quats":
            ours = ours / np.linalg.norm(ours, axis=1, keepdims=True)
            assert (np.abs((ours * values).sum(1)) > cosine).all()
        else:
            np.testing.assert_allclose(ours, values, atol=tolerance.get(field, 1e-5), err_msg=field)


def vertices(path):
    """A PLY as plyfile opens it, in our names; torch tensors are made of the columns as loaders of 3DGS do."""
    table = PlyData.read(str(path))["vertex"].data
    assert torch.tensor(np.asarray(table["opacity"])[..., None]).dtype == torch.float32

    def columns(*names):
        return np.stack([np.asarray(table[name], np.float64) for name in names], -1)

    return {
        "means": columns(*"xyz"),
        "scales": columns("scale_0", "scale_1", "scale_2"),
        "opacity": columns("opacity")[:, 0],
        "color": columns("f_dc_0", "f_dc_1", "f_dc_2"),
        "quats": columns("rot_0", "rot_1", "rot_2", "rot_3"),
    }


def as_gsply(data):
    return {
        "means": data.means,
        "scales": data.scales,
        "opacity": data.opacities,
        "color": data.sh0,
        "quats": data.quats,
    }


def test_gsply_plyfile_and_trimesh_open_the_default_file(tmp_path):
    import gsply
    import trimesh

    gaussians = some_gaussians()
    path = write_ply(tmp_path / "a.ply", gaussians)
    assert_read(as_gsply(gsply.plyread(str(path))), gaussians, "inria")
    assert_read(vertices(path), gaussians, "inria")
    np.testing.assert_allclose(trimesh.load(path).vertices, gaussians.means, atol=1e-6)


@pytest.mark.parametrize("version", [3, 4])
def test_gsply_opens_spz(tmp_path, version):
    import gsply

    gaussians = some_gaussians()
    path = write_spz(tmp_path / "a.spz", gaussians, version)
    assert_read(as_gsply(gsply.read_spz(str(path))), gaussians, f"spz{version}")


GAUSSFORGE = """
import sys, gaussforge
done = gaussforge.GaussForge().convert(open(sys.argv[1], "rb").read(), sys.argv[1].rsplit(".", 1)[1], "ply")
open(sys.argv[2], "wb").write(done["data"])
"""
SPZ_JS = """
import { createReadStream, readFileSync } from "fs"; import { Readable } from "stream";
import { loadPly, loadSpz } from "spz-js";
const path = process.argv[2];
const ply = path.endsWith("ply");
const g = ply ? await loadPly(Readable.toWeb(createReadStream(path))) : await loadSpz(readFileSync(path));
console.log(JSON.stringify({means: [...g.positions], scales: [...g.scales], opacity: [...g.alphas],
                            color: [...g.colors], quats: [...g.rotations]}));
"""


@pytest.mark.slow
@pytest.mark.parametrize("name", ["inria", "spz", "spz2", "spz4"])
def test_gaussforge_opens_every_format(tmp_path, name):
    peers = install(tmp_path / "peers", "gaussforge==0.6.0")
    gaussians = some_gaussians()
    path = FORMATS[name].write(tmp_path / f"a.{FORMATS[name].suffix}", gaussians)
    run_python(peers, GAUSSFORGE, path, tmp_path / "out.ply")
    assert_read(vertices(tmp_path / "out.ply"), gaussians, name)


@pytest.mark.slow
def test_splat_transform_opens_every_format_and_spz_js_the_default_and_version_2(tmp_path):
    folder = install_node(tmp_path / "node", "spz-js@1.2.5", "@playcanvas/splat-transform@3.7.0")
    gaussians = some_gaussians()
    files = {
        name: form.write(tmp_path / name / f"a.{form.suffix}", gaussians)
        for name, form in FORMATS.items()
        if not (tmp_path / name).mkdir()
    }
    program = folder / "node_modules/@playcanvas/splat-transform/bin/cli.mjs"
    for name, path in files.items():
        subprocess.run(["node", program, "-w", path, tmp_path / f"{name}.out.ply"], check=True, capture_output=True)
        assert_read(vertices(tmp_path / f"{name}.out.ply"), gaussians, name)
    (folder / "read.mjs").write_text(SPZ_JS)
    for name in ("inria", "spz2"):
        done = subprocess.run(["node", "read.mjs", files[name]], cwd=folder, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        found = json.loads(done.stdout)
        found["quats"] = np.roll(np.reshape(found["quats"], (-1, 4)), 1, axis=1)  # x y z w there
        assert_read(found, gaussians, name)
