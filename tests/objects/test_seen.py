"""Renders that show nothing, a part, or one texel of a picture are refused, with the reason; ordinary ones are not."""

import numpy as np
import pytest

from mousefacelift.errors import DataError
from mousefacelift.objects.batch import describe, render_chunk
from mousefacelift.objects.mesh import Material, make_mesh
from mousefacelift.objects.seen import check_seen, check_textures
from mousefacelift.objects.select import select_objects

from . import assets
from .shapes import square
from .test_batch import config


def disc(radius=8.0, middle=16.0):
    rows, columns = np.indices((32, 32)) + 0.5
    return ((rows - 16) ** 2 + (columns - middle) ** 2 < radius**2).astype(np.float32)


def test_a_whole_object_passes_in_every_view():
    check_seen(np.stack([disc(), disc(2)]), 2, "x")


@pytest.mark.parametrize(
    ("views", "message"),
    [
        ([disc() * 0, disc() * 0], "nothing of the object is seen"),
        ([disc() * 0.04, disc() * 0.04], "nothing of the object is seen"),
        ([disc(), disc() * 0], "some views show nothing"),
        ([disc(), disc(middle=28)], "cut by the picture's border"),
    ],
)
def test_empty_transparent_and_cut_views_are_refused(views, message):
    with pytest.raises(DataError, match=message):
        check_seen(np.stack(views), 2, "x")


def test_views_aimed_past_the_object_on_purpose_may_cut_it():
    check_seen(np.stack([disc(), disc(middle=28)]), 1, "x")


def test_a_picture_of_which_one_texel_is_seen_is_refused():
    texture = np.random.default_rng(0).integers(0, 255, (8, 8, 4), np.uint8)
    mesh = square(material=Material(texture=texture))
    check_textures(mesh, "x")
    flat = make_mesh(mesh.vertices, mesh.faces, uv=np.full((4, 2), 0.3), materials=mesh.materials)
    with pytest.raises(DataError, match="one texel"):
        check_textures(flat, "x")
    plain = Material(texture=np.full((8, 8, 4), 200, np.uint8))
    check_textures(make_mesh(mesh.vertices, mesh.faces, uv=np.full((4, 2), 0.3), materials=[plain]), "x")


def test_an_invisible_object_is_a_refused_row_and_counts_by_reason(tmp_path):
    folder = tmp_path / "meshes"
    folder.mkdir()
    assets.glb(folder / "good.glb")

    def clear(document):
        document["materials"][0]["alphaMode"] = "BLEND"

    for name in ("a", "b"):
        assets.glb(folder / f"{name}.glb", material={"baseColorFactor": [1, 1, 1, 0]}, change=clear)
    chosen = config(source="folder", path=str(folder), count=3)
    index = render_chunk(select_objects(chosen, 0, chosen.count), range(0, 3), chosen, tmp_path / "out/index.json", 1)
    rows = {row["uid"]: row for row in index["items"]}
    assert rows["good.glb"]["status"] == "done"
    assert rows["a.glb"]["status"] == "refused" and rows["a.glb"]["views"] == 0
    assert not (tmp_path / "out" / rows["a.glb"]["name"] / "opencv_cameras.json").exists()
    assert "1 done, 2 refused" in describe(index) and "2 x nothing of the object is seen" in describe(index)


def test_the_dataset_counts_what_the_renderer_refused(tmp_path):
    import json

    import pandas as pd

    from mousefacelift.core.records import ItemRow
    from mousefacelift.dataset.build import _check_refused, refused_when_made
    from mousefacelift.dataset.config import DatasetConfig
    from mousefacelift.errors import GateFailure

    refused = ItemRow(0, status="refused", reason="all", details={"kind": "nothing of the object is seen"}).to_row()
    items = [{"name": f"{k}"} | refused for k in range(3)]
    items.append({"name": "3", "status": "done", "views": 4})
    (tmp_path / "index.json").write_text(json.dumps({"key": "k", "header": {"source": "object"}, "items": items}))
    made = refused_when_made([tmp_path / "index.json"])
    assert made == {"object": ["nothing of the object is seen"] * 3}
    samples = pd.DataFrame({"source": ["object"], "decision": ["accepted"], "reason": [""]})
    with pytest.raises(GateFailure, match="3 x nothing of the object"):
        _check_refused(samples, made, DatasetConfig())
    _check_refused(samples, {"object": made["object"][:1]}, DatasetConfig())
