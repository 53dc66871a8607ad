"""The glTF reader against arrays written by hand: accessors, nodes, skins, morphs, instances, materials."""

import numpy as np
import pytest

from mousefacelift.errors import DataError
from mousefacelift.objects.formats.materials import transform_matrix
from mousefacelift.objects.mesh import BLEND

from .. import assets
from .maker import Maker


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.array([[0, 65535], [32768, 0]], np.uint16), [[0, 1], [32768 / 65535, 0]]),
        (np.array([[0, 255], [51, 0]], np.uint8), [[0, 1], [0.2, 0]]),
        (np.array([[-128, 127], [-127, 0]], np.int8), [[-1, 1], [-1, 0]]),
    ],
)
def test_normalised_integers_are_fractions(tmp_path, values, expected):
    maker = Maker()
    maker.set("TEXCOORD_0", np.concatenate([values, values]), normalized=True)
    maker.texture()
    uv = maker.write(tmp_path).uv[:2]
    assert np.allclose(uv, np.array([0, 1]) + np.array(expected) * [1, -1], atol=1e-6)


def test_quantised_positions_and_their_node_scale(tmp_path):
    maker = Maker((assets.TETRAHEDRON * 1000).astype(np.int16))
    maker.tree["nodes"][0]["scale"] = [0.001] * 3
    maker.tree["extensionsRequired"] = ["KHR_mesh_quantization"]
    assert np.allclose(maker.write(tmp_path).vertices, assets.TETRAHEDRON)


def test_interleaved_arrays_are_read_with_their_stride(tmp_path):
    maker = Maker()
    block = np.zeros(4, [("p", "f4", 3), ("pad", "u4"), ("uv", "f4", 2)])
    block["p"], block["uv"] = assets.TETRAHEDRON, [[0, 0], [1, 0], [1, 1], [0.25, 0.5]]
    view = maker.view(block.tobytes())
    maker.tree["bufferViews"][view]["byteStride"] = 24
    for name, offset, kind in (("POSITION", 0, "VEC3"), ("TEXCOORD_0", 16, "VEC2")):
        row = {"bufferView": view, "byteOffset": offset, "componentType": 5126, "count": 4, "type": kind}
        maker.tree["accessors"].append(row)
        maker.primitive["attributes"][name] = len(maker.tree["accessors"]) - 1
    maker.texture()
    mesh = maker.write(tmp_path)
    assert np.allclose(mesh.vertices, assets.TETRAHEDRON) and np.allclose(mesh.uv[3], [0.25, 0.5])


def test_sparse_corrections_are_applied_with_and_without_a_base(tmp_path):
    for base in (True, False):
        maker = Maker()
        row = maker.tree["accessors"][maker.primitive["attributes"]["POSITION"]]
        if not base:
            del row["bufferView"]
        row["sparse"] = {
            "count": 3,
            "indices": {"bufferView": maker.view(np.array([0, 1, 3], np.uint8).tobytes()), "componentType": 5121},
            "values": {"bufferView": maker.view(np.array([[9, 0, 0], [0, 9, 0], [0, 0, 9]], "f4").tobytes())},
        }
        expected = assets.TETRAHEDRON * base
        expected[[0, 1, 3]] = np.diag([9, 9, 9])
        assert np.allclose(maker.write(tmp_path).vertices, expected)


@pytest.mark.parametrize(
    ("mode", "expected"), [(5, [[0, 1, 2], [1, 3, 2], [2, 3, 4]]), (6, [[1, 2, 0], [2, 3, 0], [3, 4, 0]])]
)
def test_strips_and_fans_become_triangles_of_one_orientation(tmp_path, mode, expected):
    points = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [1, 1, 0.5], [0, 2, 1]], "f4")
    maker = Maker(points, None)
    maker.primitive["mode"] = mode
    assert maker.write(tmp_path).faces.tolist() == expected


def test_a_skinned_mesh_stands_where_its_joints_are_and_its_node_does_not_move_it(tmp_path):
    maker = Maker()
    maker.set("JOINTS_0", np.array([[0, 1, 0, 0]] * 4, np.uint8))
    maker.set("WEIGHTS_0", np.array([[128, 127, 0, 0]] * 4, np.uint8), normalized=True)
    inverse = np.tile(np.eye(4), (2, 1, 1))
    inverse[1, :3, 3] = [0, 0, -5]  # column-major in the file
    maker.tree["nodes"] = [
        {"mesh": 0, "skin": 0, "translation": [100, 0, 0]},
        {"translation": [1, 0, 0], "children": [2]},
        {"translation": [0, 2, 5]},
    ]
    maker.tree["scenes"] = [{"nodes": [0, 1]}]
    matrices = maker.add(inverse.transpose(0, 2, 1).reshape(2, 16).astype("f4"))
    maker.tree["skins"] = [{"joints": [1, 2], "inverseBindMatrices": matrices}]
    expected = assets.TETRAHEDRON + [1, 2 * 127 / 255, 0]
    assert np.allclose(maker.write(tmp_path).vertices, expected, atol=1e-6)


def test_a_skin_of_more_than_four_joints_uses_all_its_sets(tmp_path):
    maker = Maker()
    for k in range(2):
        maker.set(f"JOINTS_{k}", np.array([[4 * k, 4 * k + 1, 4 * k + 2, 4 * k + 3]] * 4, np.uint8))
        maker.set(f"WEIGHTS_{k}", np.full((4, 4), 0.125, "f4"))
    maker.tree["nodes"] = [{"mesh": 0, "skin": 0}, *({"translation": [k, 0, 0]} for k in range(8))]
    maker.tree["skins"] = [{"joints": list(range(1, 9))}]
    assert np.allclose(maker.write(tmp_path).vertices, assets.TETRAHEDRON + [3.5, 0, 0])


def test_a_morph_target_may_be_nothing_but_sparse_corrections(tmp_path):
    maker = Maker()
    sparse = {
        "count": 1,
        "indices": {"bufferView": maker.view(np.array([2], np.uint16).tobytes()), "componentType": 5123},
        "values": {"bufferView": maker.view(np.array([[0, 0, 4]], "f4").tobytes())},
    }
    maker.tree["accessors"].append({"componentType": 5126, "type": "VEC3", "count": 4, "sparse": sparse})
    maker.primitive["targets"] = [{"POSITION": len(maker.tree["accessors"]) - 1}]
    maker.tree["meshes"][0]["weights"] = [0.5]
    assert np.allclose(
        maker.write(tmp_path).vertices - assets.TETRAHEDRON, [[0, 0, 0], [0, 0, 0], [0, 0, 2], [0, 0, 0]]
    )


def test_morph_weights_of_the_node_go_before_those_of_the_mesh(tmp_path):
    maker = Maker()
    maker.primitive["targets"] = [{"POSITION": maker.add(np.ones((4, 3), "f4"))}]
    maker.tree["meshes"][0]["weights"] = [0.5]
    assert np.allclose(maker.write(tmp_path).vertices, assets.TETRAHEDRON + 0.5)
    maker.tree["nodes"][0]["weights"] = [2.0]
    assert np.allclose(maker.write(tmp_path).vertices, assets.TETRAHEDRON + 2)


def test_instances_are_placed_before_their_node(tmp_path):
    maker = Maker()
    places = maker.add(np.array([[0, 0, 0], [3, 0, 0]], "f4"))
    turns = maker.add(np.array([[0, 0, 0, 127], [0, 0, 127, 0]], np.int8), normalized=True)
    row = {"attributes": {"TRANSLATION": places, "ROTATION": turns}}
    maker.tree["nodes"] = [{"mesh": 0, "scale": [2, 2, 2], "extensions": {"EXT_mesh_gpu_instancing": row}}]
    maker.tree["extensionsRequired"] = ["EXT_mesh_gpu_instancing"]
    second = maker.write(tmp_path).vertices[4:]
    assert np.allclose(second, 2 * (assets.TETRAHEDRON * [-1, -1, 1] + [3, 0, 0]), atol=1e-6)  # half a turn about z


def test_a_mirroring_node_turns_the_triangles_round(tmp_path):
    maker = Maker()
    maker.tree["nodes"][0]["scale"] = [-1, 1, 1]
    mesh = maker.write(tmp_path)
    corners = mesh.vertices[mesh.faces]
    outward = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    assert (np.einsum("fi,fi->f", outward, corners.mean(axis=1)) > 0).all()


def test_children_of_cameras_and_hidden_nodes(tmp_path):
    maker = Maker()
    maker.tree["nodes"] = [
        {"mesh": 0, "translation": [0, 1, 0]},
        {"camera": 0, "children": [0], "translation": [5, 0, 0]},
        {"mesh": 0, "extensions": {"KHR_node_visibility": {"visible": False}}},
    ]
    maker.tree["cameras"] = [{"type": "perspective", "perspective": {"yfov": 1, "znear": 0.1}}]
    maker.tree["scenes"] = [{"nodes": [1, 2]}]
    assert np.allclose(maker.write(tmp_path).vertices, assets.TETRAHEDRON + [5, 1, 0])


def test_a_circle_of_nodes_is_refused(tmp_path):
    maker = Maker()
    maker.tree["nodes"] = [{"mesh": 0, "children": [1]}, {"children": [0]}]
    with pytest.raises(DataError, match="two places"):
        maker.write(tmp_path)


@pytest.mark.parametrize(
    ("colors", "more", "expected"),
    [
        (np.full((4, 3), 32768, np.uint16), {"normalized": True}, [32768 / 65535] * 3 + [1]),
        (np.full((4, 4), 51, np.uint8), {"normalized": True}, [0.2] * 4),
        (np.full((4, 3), 0.3, np.float32), {}, [0.3, 0.3, 0.3, 1]),
    ],
)
def test_vertex_colours_of_every_type_are_linear_numbers(tmp_path, colors, more, expected):
    maker = Maker()
    maker.set("COLOR_0", colors, **more)
    assert maker.write(tmp_path).colors[0] == pytest.approx(expected, abs=1e-6)


def test_emission_may_have_coordinates_of_its_own(tmp_path):
    maker = Maker()
    maker.set("TEXCOORD_0", np.zeros((4, 2), "f4"))
    maker.set("TEXCOORD_1", np.full((4, 2), 0.25, "f4"))
    maker.texture()
    maker.tree["materials"][0] |= {
        "emissiveFactor": [1, 1, 1],
        "emissiveTexture": {"index": 0, "texCoord": 1},
        "extensions": {"KHR_materials_emissive_strength": {"emissiveStrength": 3}},
    }
    mesh = maker.write(tmp_path)
    assert np.allclose(mesh.uv, [0, 1]) and np.allclose(mesh.uv_glow, [0.25, 0.75])
    assert mesh.materials[0].emissive == (3.0, 3.0, 3.0)


def test_a_texture_transform_rotates_counter_clockwise_then_moves():
    matrix = transform_matrix({"rotation": np.pi / 2, "offset": [0, 1], "scale": [0.5, 0.25]})
    assert np.allclose(matrix @ [1, 0, 1], [0, 0.5]) and np.allclose(matrix @ [0, 1, 1], [0.25, 1])


def specgloss(maker, **row):
    maker.tree["materials"][0]["extensions"] = {"KHR_materials_pbrSpecularGlossiness": row}


def test_specular_glossiness_shows_its_diffuse_colour_and_a_metal_its_specular_one(tmp_path):
    maker = Maker()
    maker.tree["materials"][0]["pbrMetallicRoughness"] = {"baseColorFactor": [0.1, 0.1, 0.1, 1]}
    specgloss(maker, diffuseFactor=[0.8, 0.2, 0.1, 0.5])
    maker.tree["materials"][0]["alphaMode"] = "BLEND"
    material = maker.write(tmp_path).materials[0]
    assert material.base == (0.8, 0.2, 0.1, 0.5) and material.alpha_mode == BLEND
    specgloss(maker, diffuseFactor=[0, 0, 0, 1], specularFactor=[1, 0.8, 0.3])
    assert maker.write(tmp_path).materials[0].base == (1.0, 0.8, 0.3, 1.0)


def test_materials_say_which_sides_are_seen(tmp_path):
    maker = Maker()
    assert not maker.write(tmp_path).materials[0].double_sided
    maker.tree["materials"][0]["doubleSided"] = True
    assert maker.write(tmp_path).materials[0].double_sided


def test_a_surface_without_material_is_white_as_the_format_says(tmp_path):
    maker = Maker()
    del maker.primitive["material"]
    assert maker.write(tmp_path).materials[0].base == (1.0, 1.0, 1.0, 1.0)
