"""What a glTF file cannot have drawn is refused by name; pictures and names that can are found."""

import io
import json
import struct

import numpy as np
import pytest

from mousefacelift.errors import DataError

from .. import assets
from .maker import Maker, encode


def drop_uv(maker):
    maker.texture()


def lose_picture(maker):
    maker.set("TEXCOORD_0", np.zeros((4, 2), "f4"))
    maker.texture()
    maker.tree["images"] = [{"uri": "gone%20away.png"}]


def only_ktx2(maker):
    maker.set("TEXCOORD_0", np.zeros((4, 2), "f4"))
    maker.texture()
    maker.tree["textures"] = [{"extensions": {"KHR_texture_basisu": {"source": 0}}}]
    maker.tree["extensionsRequired"] = ["KHR_texture_basisu"]


def meshopt(maker):
    maker.tree["extensionsRequired"] = ["EXT_meshopt_compression"]


def glass(maker):
    maker.tree["materials"][0]["extensions"] = {"KHR_materials_transmission": {"transmissionFactor": 0.9}}


def raw_colours(maker):
    maker.set("COLOR_0", np.full((4, 3), 40000, np.uint16))


def beyond(maker):
    maker.tree["accessors"][0]["count"] = 400


def old(maker):
    maker.tree["asset"]["version"] = "1.0"


def no_list(maker):
    maker.tree["meshes"][0]["primitives"] = {"not a list": {}}


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (drop_uv, "no texture coordinates"),
        (lose_picture, "gone away.png"),
        (only_ktx2, "KHR_texture_basisu"),
        (meshopt, "EXT_meshopt_compression"),
        (glass, "KHR_materials_transmission"),
        (raw_colours, "not marked as normalised"),
        (beyond, "reaches beyond"),
        (old, "not a glTF 2 file"),
        (no_list, "contradicts itself"),
    ],
)
def test_what_cannot_be_drawn_is_refused_by_name(tmp_path, spoil, message):
    maker = Maker()
    spoil(maker)
    with pytest.raises(DataError, match=message):
        maker.write(tmp_path)


def test_a_normal_map_that_is_missing_does_not_matter(tmp_path):
    maker = Maker()
    maker.tree["images"], maker.tree["textures"] = [{"uri": "gone.png"}], [{"source": 0}]
    maker.tree["materials"][0]["normalTexture"] = {"index": 0}
    assert len(maker.write(tmp_path).faces) == 4


@pytest.mark.parametrize("kind", ["P", "L", "LA", "I;16", "1", "CMYK"])
def test_pictures_of_every_mode_become_rgba(tmp_path, kind):
    from PIL import Image

    grey = Image.new("L", (4, 4), 128)
    picture = Image.fromarray(np.full((4, 4), 128 * 257, np.uint16)) if kind == "I;16" else grey.convert(kind)
    stream = io.BytesIO()
    picture.save(stream, "TIFF" if kind == "CMYK" else "PNG")
    maker = Maker()
    maker.set("TEXCOORD_0", np.zeros((4, 2), "f4"))
    maker.texture()
    maker.tree["images"] = [{"uri": encode(stream.getvalue())}]
    texture = maker.write(tmp_path).materials[0].texture
    assert texture.shape == (4, 4, 4) and (texture[..., 3] == 255).all()
    assert abs(float(texture[..., :3].mean()) - 128) < (128 if kind == "1" else 3)


def test_names_outside_ascii_and_with_blanks_are_found(tmp_path):
    for name, uri in (("färbe 1.png", "f%C3%A4rbe%201.png"), ("a b.png", "a b.png"), ("50%.png", "50%25.png")):
        (tmp_path / name).write_bytes(assets.png(2, 2, (1, 2, 3)))
        maker = Maker()
        maker.set("TEXCOORD_0", np.zeros((4, 2), "f4"))
        maker.texture()
        maker.tree["images"] = [{"uri": uri}]
        assert maker.write(tmp_path).materials[0].texture[0, 0].tolist() == [1, 2, 3, 255]


def test_draco_is_decoded_where_its_package_is_and_refused_by_name_elsewhere(tmp_path, monkeypatch):
    maker = Maker(indices=None)
    maker.tree["extensionsRequired"] = ["KHR_draco_mesh_compression"]
    from mousefacelift.objects.formats import features

    with monkeypatch.context() as patch:
        patch.setattr(features, "find_spec", lambda name: None)
        with pytest.raises(DataError, match=r"KHR_draco_mesh_compression \(pip install"):
            maker.write(tmp_path)
    draco = pytest.importorskip("DracoPy", reason="needs the extra 'draco'")
    data = draco.encode(assets.TETRAHEDRON, assets.SIDES)
    del maker.tree["accessors"][0]["bufferView"]
    packed = {"bufferView": maker.view(data), "attributes": {"POSITION": 0}}
    maker.primitive["extensions"] = {"KHR_draco_mesh_compression": packed}
    mesh = maker.write(tmp_path)
    corners = np.sort(mesh.vertices[mesh.faces].reshape(-1, 3), axis=0)
    assert np.allclose(corners, np.sort(assets.TETRAHEDRON[assets.SIDES].reshape(-1, 3), axis=0), atol=1e-3)


def test_a_glb_with_a_second_chunk_of_another_kind_has_no_binary_part(tmp_path):
    text = json.dumps({"asset": {"version": "2.0"}, "buffers": [{"byteLength": 4}]}).encode()
    text += b" " * (-len(text) % 4)
    body = struct.pack("<2I", len(text), 0x4E4F534A) + text + struct.pack("<2I", 4, 7) + bytes(4)
    (tmp_path / "a.glb").write_bytes(b"glTF" + struct.pack("<2I", 2, 12 + len(body)) + body)
    from mousefacelift.objects.formats.document import open_document

    with pytest.raises(DataError, match="has no data"):
        open_document(tmp_path / "a.glb").buffer(0)
