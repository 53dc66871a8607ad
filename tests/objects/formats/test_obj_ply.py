"""OBJ, MTL and PLY as people write them: blanks, options, backslashes, negative numbers, colours of faces."""

import struct

import numpy as np
import pytest

from mousefacelift.errors import DataError
from mousefacelift.objects.load import load_mesh
from mousefacelift.objects.mesh import BLEND, CLAMP, MASK

from .. import assets

FACE = "v 0 0 0\nv 1 0 0\nv 1 1 0\nv 0 1 0\nvt 0 0\nvt 1 0\nvt 1 1\nvt 0 1\nusemtl m\nf 1/1 2/2 3/3 4/4\n"


def obj(folder, material="", body=FACE, picture="my tex.png"):
    (folder / picture).write_bytes(assets.png(2, 2, (10, 20, 30)))
    (folder / "a.mtl").write_text("newmtl m\n" + material)
    (folder / "a.obj").write_text("mtllib a.mtl\n" + body)
    return load_mesh(folder / "a.obj", up="z")


@pytest.mark.parametrize(
    "statement",
    [
        "map_Kd my tex.png",
        "map_Kd -s 1 1 1 my tex.png",
        "map_Kd -bm 0.5 -blendu off my tex.png",
        "map_Kd -o 0 0 -s 1 my tex.png",
        "map_Kd \\\nmy tex.png",
        "\tmap_Kd .\\my tex.png",
        "map_Kd my tex.png  ",
    ],
)
def test_the_picture_of_a_map_statement_is_found(tmp_path, statement):
    assert obj(tmp_path, statement + "\n").materials[0].texture[0, 0].tolist() == [10, 20, 30, 255]


def test_a_statement_may_name_several_libraries_or_one_with_blanks(tmp_path):
    for names in (("one.mtl", "two.mtl"), ("one two.mtl",)):
        for name in names:
            (tmp_path / name).write_text(f"newmtl {name.split('.')[0].split()[-1]}\nKd 0 0 1\n")
        body = f"mtllib {' '.join(names)}\n" + FACE.replace("usemtl m", "usemtl two")
        (tmp_path / "a.obj").write_text(body)
        assert load_mesh(tmp_path / "a.obj").materials[0].base == (0, 0, 1, 1)
    (tmp_path / "a.obj").write_text("mtllib one.mtl gone.mtl\n" + FACE)
    with pytest.raises(DataError, match="gone.mtl"):
        load_mesh(tmp_path / "a.obj")


def test_a_moved_or_missing_picture_is_refused(tmp_path):
    for statement, message in (("map_Kd -o 0.5 0 0 my tex.png", "moved or scaled"), ("map_Kd no.png", "is missing")):
        with pytest.raises(DataError, match=message):
            obj(tmp_path, statement)


def test_clamped_maps_dissolve_and_masks(tmp_path):
    assert obj(tmp_path, "map_Kd -clamp on my tex.png").materials[0].wrap == (CLAMP, CLAMP)
    for statement in ("d 0.25", "Tr 0.75", "d -halo 0.25"):
        material = obj(tmp_path, f"Kd 1 1 1\n{statement}").materials[0]
        assert material.alpha_mode == BLEND and material.base[3] == pytest.approx(0.25)
    assert obj(tmp_path, "Kd 1 1 1\nTr 1.000000").materials[0].base[3] == 1  # MeshLab means opacity
    assert obj(tmp_path, "Kd 1 1 1\nd 0.0").materials[0].base[3] == 0
    material = obj(tmp_path, "map_Kd my tex.png\nmap_d my tex.png").materials[0]
    assert material.alpha_mode == MASK and material.texture[0, 0].tolist() == [10, 20, 30, 20]


def test_colours_of_a_library_are_srgb_those_that_shine_too(tmp_path):
    material = obj(tmp_path, "Kd 0.5 0 1\nKe 0.5 0 2").materials[0]
    assert material.base == pytest.approx((0.2140, 0, 1, 1), abs=1e-3)
    assert material.emissive == pytest.approx((0.2140, 0, 2), abs=1e-3)


def test_numbers_from_the_end_polygons_and_continued_lines(tmp_path):
    body = "v 0 0 0\nv 1 0 0\nv 1 1 0\nv 0 1 0\nv 0 0 1\nf -5 -4 \\\n-3 -2\nf 1 2 5\n"
    mesh = obj(tmp_path, "Kd 0.5 0.5 0.5", body)
    assert len(mesh.faces) == 3 and mesh.vertices.max() == 1


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-8"])
def test_a_byte_order_mark_says_how_the_text_is_written(tmp_path, encoding):
    (tmp_path / "b.obj").write_bytes(("\ufeff" + FACE.replace("usemtl m", "g one")).encode(encoding))
    assert len(load_mesh(tmp_path / "b.obj").faces) == 2


def test_numbers_of_coordinates_that_the_file_does_not_hold_are_passed_over(tmp_path):
    assert len(obj(tmp_path, "", "v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1/1/1 2/2/2 3/3/3\n").faces) == 1


def test_faces_without_a_vertex_are_refused(tmp_path):
    for body in ("v 0 0 0\nv 1 0 0\nf 1 2 3\n", "v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 -9\n", "v 0 0 0\nf a b c\n"):
        with pytest.raises(DataError, match="not there|not numbers"):
            obj(tmp_path, "", body)


def test_colours_behind_vertices_are_srgb(tmp_path):
    body = "v 0 0 0 1 0.5 0\nv 1 0 0 1 0.5 0\nv 0 1 0 1 0.5 0\nf 1 2 3\n"
    assert obj(tmp_path, "", body).colors[0] == pytest.approx([1, 0.2140, 0, 1], abs=1e-3)


def test_a_face_with_a_dent_leaves_its_dent_empty(tmp_path):
    dart = ("0 0 0", "4 -4 0", "1 0 0", "4 4 0")
    body = "".join(f"v {row}\n" for row in dart) + "f 2 3 4 1\n"
    for mesh in (obj(tmp_path, "Kd 1 1 1", body), ply(tmp_path, rows=dart, faces=("4 1 2 3 0",))):
        corners = mesh.vertices[mesh.faces]
        area = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])[:, 2] / 2
        assert np.allclose(area, [-2, -2]) or np.allclose(area, [2, 2])


def ply(folder, vertex="", rows=("0 0 0", "1 0 0", "1 1 0", "0 1 0"), face="", faces=("4 0 1 2 3",), comment=""):
    lines = ["ply", "format ascii 1.0", *([f"comment {comment}"] if comment else []), f"element vertex {len(rows)}"]
    lines += [f"property float {axis}" for axis in "xyz"] + ([vertex] if vertex else [])
    lines += [f"element face {len(faces)}", "property list uchar int vertex_indices", *([face] if face else [])]
    (folder / "a.ply").write_text("\n".join([*lines, "end_header", *rows, *faces]) + "\n")
    return load_mesh(folder / "a.ply")


def test_ply_colours_of_faces_are_kept(tmp_path):
    face = "\n".join(f"property uchar {c}" for c in ("red", "green", "blue"))
    mesh = ply(tmp_path, face=face, faces=("3 0 1 2 255 0 0", "3 0 2 3 0 255 0"))
    assert mesh.colors[mesh.faces[0]].tolist() == [[1, 0, 0, 1]] * 3
    assert mesh.colors[mesh.faces[1]].tolist() == [[0, 1, 0, 1]] * 3


def test_ply_strips_are_triangles_that_all_face_one_way(tmp_path):
    strip = "9 0 1 3 2 -1 0 3 4 4"  # two triangles of a square, then one more; the repeated number has no area
    rows = ("0 0 0", "1 0 0", "1 1 0", "0 1 0", "-1 1 0")
    head = ["ply", "format ascii 1.0", "element vertex 5", *(f"property float {axis}" for axis in "xyz")]
    head += ["element tristrips 1", "property list int int vertex_indices", "end_header"]
    (tmp_path / "a.ply").write_text("\n".join([*head, *rows, strip]) + "\n")
    mesh = load_mesh(tmp_path / "a.ply")
    corners = mesh.vertices[mesh.faces]
    area = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])[:, 2] / 2
    assert area.tolist() == [0.5, 0.5, 0.5]


def test_ply_textures_by_vertex_and_by_face(tmp_path):
    (tmp_path / "t.png").write_bytes(assets.png(2, 2, (9, 8, 7)))
    rows = ("0 0 0 0 0", "1 0 0 1 0", "1 1 0 1 1", "0 1 0 0 1")
    mesh = ply(tmp_path, "property float s\nproperty float t", rows, comment="TextureFile t.png")
    assert mesh.materials[0].texture[0, 0].tolist() == [9, 8, 7, 255]
    assert np.allclose(mesh.uv, mesh.vertices[:, :2])
    mesh = ply(
        tmp_path,
        face="property list uchar float texcoord",
        faces=("3 0 1 2 6 0 0 1 0 1 1", "3 0 2 3 6 0 0 1 1 0 1"),
        comment="TextureFile t.png",
    )
    assert np.allclose(mesh.uv, mesh.vertices[:, :2])


def test_big_endian_ply_with_other_elements_and_wide_colours(tmp_path):
    head = ["ply", "format binary_big_endian 1.0", "element camera 1", "property list uchar int extra"]
    head += ["element vertex 3", *(f"property double {axis}" for axis in "xyz"), "property uchar quality"]
    head += ["element face 1", "property float weight", "property list ushort ushort vertex_index"]
    head += [*(f"property ushort {c}" for c in ("red", "green", "blue")), "end_header\n"]
    body = struct.pack(">B2i", 2, 7, 8)
    for place in ((0, 0, 0), (1, 0, 0), (0, 1, 0)):
        body += struct.pack(">dddB", *place, 9)
    body += struct.pack(">fH3H3H", 0.5, 3, 0, 1, 2, 65535, 0, 32896)
    (tmp_path / "a.ply").write_bytes("\n".join(head).encode() + body)
    mesh = load_mesh(tmp_path / "a.ply")
    assert mesh.vertices[mesh.faces[0]].tolist() == [[0, 0, 0], [1, 0, 0], [0, 1, 0]]
    assert mesh.colors[0] == pytest.approx([1, 0, 0.2159, 1], abs=1e-3)


def test_broken_and_empty_ply_files_are_refused(tmp_path):
    with pytest.raises(DataError, match="not there"):
        ply(tmp_path, faces=("3 0 1 9",))
    (tmp_path / "b.ply").write_text("ply\nformat ascii 1.0\nelement vertex 3\nend_header\n")
    with pytest.raises(DataError):
        load_mesh(tmp_path / "b.ply")
