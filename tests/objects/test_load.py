"""Files -> meshes: axes, colours, textures, and refusals before anything is decoded."""

import numpy as np
import pytest

from mousefacelift.core.cameras import ring
from mousefacelift.errors import DataError
from mousefacelift.objects.config import Limits
from mousefacelift.objects.inspect import inspect_asset
from mousefacelift.objects.load import load_mesh
from mousefacelift.objects.mesh import CLAMP, MASK, MIRROR, REPEAT, normalise
from mousefacelift.objects.render import render_views

from . import assets

LIMITS = Limits()


def test_gltf_is_turned_from_y_up_to_z_up(tmp_path):
    mesh = load_mesh(assets.glb(tmp_path / "a.glb"))
    x, y, z = assets.TETRAHEDRON.T
    assert np.allclose(np.sort(mesh.vertices, 0), np.sort(np.stack([x, -z, y], -1), 0))


def test_nodes_are_placed_by_their_matrices(tmp_path):
    def lift(document):
        document["nodes"] = [{"mesh": 0, "translation": [0, 5, 0], "scale": [2, 2, 2]}, {"mesh": 0}]
        document["scenes"] = [{"nodes": [0, 1]}]

    mesh = load_mesh(assets.glb(tmp_path / "a.glb", change=lift))
    assert len(mesh.faces) == 8
    assert mesh.vertices[:, 2].max() == pytest.approx(7) and mesh.vertices[:, 2].min() == pytest.approx(-1)


def test_factors_are_linear_and_textures_srgb(tmp_path):
    path = assets.glb(
        tmp_path / "a.glb", picture=assets.png(color=(255, 128, 0)), material={"baseColorFactor": [0.5, 1, 1, 1]}
    )
    material = load_mesh(path).materials[0]
    assert material.base[0] == pytest.approx(0.5, abs=0.003)
    assert material.texture[0, 0].tolist() == [255, 128, 0, 255]


def test_factors_are_exact_and_samplers_say_what_lies_outside_a_texture(tmp_path):
    def sample(document):
        document["samplers"] = [{}, {"wrapS": 33071, "wrapT": 33648}]
        document["textures"][0]["sampler"] = 1

    path = assets.glb(
        tmp_path / "a.glb", picture=assets.png(), material={"baseColorFactor": [0.123456, 0.001, 0.5, 1]}, change=sample
    )
    material = load_mesh(path).materials[0]
    assert material.base == (0.123456, 0.001, 0.5, 1.0) and material.wrap == (CLAMP, MIRROR)
    assert load_mesh(assets.glb(tmp_path / "b.glb", picture=assets.png())).materials[0].wrap == (REPEAT, REPEAT)


def test_alpha_modes_are_read(tmp_path):
    def cut(document):
        document["materials"][0] |= {"alphaMode": "MASK", "alphaCutoff": 0.3}

    material = load_mesh(assets.glb(tmp_path / "a.glb", change=cut)).materials[0]
    assert material.alpha_mode == MASK and material.cutoff == 0.3


def test_obj_with_a_texture_and_ply_with_colours(tmp_path):
    (tmp_path / "t.png").write_bytes(assets.png(color=(0, 255, 0)))
    (tmp_path / "m.mtl").write_text("newmtl a\nmap_Kd t.png\n")
    (tmp_path / "a.obj").write_text(
        "mtllib m.mtl\nusemtl a\nv 0 0 0\nv 1 0 0\nv 0 1 0\nvt 0 0\nvt 1 0\nvt 0 1\nf 1/1 2/2 3/3\n"
    )
    inspect_asset(tmp_path / "a.obj", LIMITS)
    assert load_mesh(tmp_path / "a.obj").materials[0].texture[0, 0].tolist() == [0, 255, 0, 255]
    header = "ply\nformat ascii 1.0\nelement vertex 3\n" + "".join(f"property float {c}\n" for c in "xyz")
    header += "".join(f"property uchar {c}\n" for c in ("red", "green", "blue")) + "element face 1\n"
    header += "property list uchar int vertex_indices\nend_header\n"
    (tmp_path / "a.ply").write_text(header + "0 0 0 255 128 0\n1 0 0 255 128 0\n0 1 0 255 128 0\n3 0 1 2\n")
    inspect_asset(tmp_path / "a.ply", LIMITS)
    assert load_mesh(tmp_path / "a.ply").colors[0] == pytest.approx([1, 0.2158, 0, 1], abs=1e-3)


def outside(document):
    document["images"] = [{"uri": "../../etc/passwd"}]


def absent(document):
    document["images"] = [{"uri": "wood.png"}]


def meshopt(document):
    document["extensionsRequired"] = ["EXT_meshopt_compression"]


def unknown_mesh(document):
    document["nodes"][0]["mesh"] = 7


@pytest.mark.parametrize(
    ("change", "picture", "message"),
    [
        (assets.many_faces, None, "too many faces"),
        (assets.no_mesh, None, "no triangles"),
        (outside, assets.png(), "outside its folder"),
        (absent, assets.png(), "is missing"),
        (meshopt, None, "extension that is not read"),
        (lambda d: d["buffers"][0].update(byteLength=10**9), None, "cut short"),
        (unknown_mesh, None, "contradicts itself"),
        (None, assets.huge_png(), "texture is too large|texture cannot be read"),
        (None, b"not a picture", "texture cannot be read"),
    ],
)
def test_bad_headers_are_refused_before_decoding(tmp_path, change, picture, message):
    path = assets.glb(tmp_path / "a.glb", change=change, picture=picture)
    with pytest.raises(DataError, match=message):
        inspect_asset(path, LIMITS)


def test_other_files_under_the_name_of_a_glb_are_refused(tmp_path):
    for data, message in (
        (b"PK\x03\x04" + bytes(100), "not a GLB"),
        (b"", "empty"),
        (b"glTF\x01" + bytes(40), "glTF 2"),
    ):
        (tmp_path / "a.glb").write_bytes(data)
        with pytest.raises(DataError, match=message):
            inspect_asset(tmp_path / "a.glb", LIMITS)
    whole = assets.glb(tmp_path / "b.glb").read_bytes()
    (tmp_path / "b.glb").write_bytes(whole[:-40])
    with pytest.raises(DataError, match="cut short"):
        inspect_asset(tmp_path / "b.glb", LIMITS)


def test_the_shared_objects_load_and_render(shared):
    for path in sorted((shared / "data/textured_objects").glob("*.glb")):
        inspect_asset(path, LIMITS)
        mesh, _ = normalise(load_mesh(path))
        rgba = render_views(mesh, ring(3, 64), supersampling=2)[1].rgba
        assert 0.02 < rgba[..., 3].mean() < 0.6, path.name
        assert rgba[..., :3][rgba[..., 3] > 0.5].std() > 0.02, path.name  # a texture, not one colour
