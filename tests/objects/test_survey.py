"""The audit of a collection: shares, licences, refusals with their reasons, cost - from headers alone."""

import json

from mousefacelift.objects.survey import describe_survey, survey_objects, write_survey

from . import assets
from .test_batch import config


def skinned(document):
    document["skins"] = [{"joints": [0]}]
    document["materials"][0]["doubleSided"] = True


def unknown(document):
    document["extensionsRequired"] = ["ACME_thing"]


def collection(folder):
    folder.mkdir()
    assets.glb(folder / "plain.glb", picture=assets.png())
    assets.glb(folder / "skin.glb", change=skinned)
    assets.glb(folder / "odd.glb", change=unknown)
    (folder / "broken.glb").write_bytes(b"PK\x03\x04" + bytes(50))
    (folder / "a.obj").write_text("v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n")
    return folder


def test_a_survey_counts_features_licences_and_refusals(tmp_path):
    folder = collection(tmp_path / "meshes")
    (tmp_path / "notes.json").write_text(json.dumps({"plain.glb": {"license": "cc0"}}))
    survey = survey_objects(str(folder), config(annotations=str(tmp_path / "notes.json")))
    assert survey["assets"] == 5 and survey["missing"] == 0
    assert survey["features"]["skin"] == 1 and survey["features"]["single-sided"] == 2
    assert survey["licences"] == {"unknown": 4, "cc0": 1}
    assert survey["refused"] == {
        "not a GLB file": 1,
        "the asset needs an extension that is not read: ACME_thing": 1,
    }
    text = describe_survey(survey)
    assert "2 will be refused (40.0%)" in text and "20.0%  skin" in text and "rendering 3 objects" in text


TRIANGLE = "v 0 0 0\nv 1 0 0\nv 0 1 0\nvt 0 0\nvt 1 0\nvt 0 1\n"


def refusals(folder, **files):
    """{name: reason} of OBJ and other files given as text."""
    folder.mkdir()
    for name, text in files.items():
        (folder / name.replace("_", ".", 1)).write_text(text)
    return {row["uid"]: row["refused"] for row in survey_objects(str(folder), config())["rows"]}


def test_materials_and_pictures_of_obj_files_are_looked_for(tmp_path):
    face = "f 1/1 2/2 3/3\n"
    found = refusals(
        tmp_path / "meshes",
        whole_obj="mtllib m.mtl\n" + TRIANGLE + "usemtl plain\n" + face,  # what it does not use may be missing
        library_obj="mtllib gone.mtl\n" + TRIANGLE + face,
        material_obj="mtllib m.mtl\n" + TRIANGLE + "usemtl other\n" + face,
        picture_obj="mtllib m.mtl\n" + TRIANGLE + "usemtl painted\n" + face,
        lines_obj=TRIANGLE + "l 1 2 3\n",
        m_mtl="newmtl plain\nKd 1 0 0\nnewmtl painted\nmap_Kd gone.png\n",
    )
    assert found == {
        "whole.obj": None,
        "library.obj": "a file that the asset needs is missing",
        "material.obj": "a material that the asset names is missing",
        "picture.obj": "a file that the asset needs is missing",
        "lines.obj": "the asset has no triangles",
    }


def test_points_and_textured_surfaces_without_coordinates_are_seen_in_the_header(tmp_path):
    assets.glb(tmp_path / "lost.glb", picture=assets.png(), change=lose_coordinates)
    (tmp_path / "points.ply").write_text("ply\nformat ascii 1.0\nelement vertex 1\nproperty float x\nend_header\n0\n")
    rows = survey_objects(str(tmp_path), config())["rows"]
    assert {row["uid"]: row["refused"] for row in rows} == {
        "lost.glb": "a textured surface has no texture coordinates",
        "points.ply": "the asset has no triangles",
    }


def lose_coordinates(document):
    del document["meshes"][0]["primitives"][0]["attributes"]["TEXCOORD_0"]


def test_a_larger_picture_and_more_views_cost_more(tmp_path):
    folder = str(collection(tmp_path / "meshes"))
    small, large = survey_objects(folder, config(size=64)), survey_objects(folder, config(size=128, views={"ring": 8}))
    assert large["core_hours"] == 8 * small["core_hours"] and large["disk_gb"] == 8 * small["disk_gb"]


def test_a_survey_is_written_as_numbers_and_as_a_picture(tmp_path):
    write_survey(survey_objects(str(collection(tmp_path / "meshes")), config()), tmp_path)
    assert json.loads((tmp_path / "survey.json").read_text())["assets"] == 5
    assert (tmp_path / "survey.png").read_bytes()[:4] == b"\x89PNG"


def test_the_survey_agrees_with_what_rendering_does(tmp_path):
    from mousefacelift.objects.batch import render_chunk
    from mousefacelift.objects.select import select_objects

    folder = collection(tmp_path / "meshes")
    chosen = config(source="folder", path=str(folder), count=5)
    index = render_chunk(select_objects(chosen, 0, chosen.count), range(0, 5), chosen, tmp_path / "out/index.json", 1)
    rendered = {row["uid"] for row in index["items"] if row["status"] == "refused"}
    assert rendered - {"a.obj"} == {r["uid"] for r in survey_objects(str(folder), chosen)["rows"] if r["refused"]}
