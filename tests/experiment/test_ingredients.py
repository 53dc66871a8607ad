"""Which procedural objects earn their place: cells of a tiny run, the table, and what is refused."""

import json

import numpy as np
import pandas as pd
import pytest

from mousefacelift.cli import main
from mousefacelift.errors import ConfigError
from mousefacelift.experiment.config import find_assets, read_ingredients
from mousefacelift.experiment.film import render_objects
from mousefacelift.experiment.ingredients import write_ingredients

TINY = "seeds: 1\nbed: {objects: 5, size: 16}\ntraining: {start_steps: 3, dim: 64, layers: 1}\n"


def write_assets(folder):
    """Two solids as OBJ files, of which a reader needs nothing but corners and triangles."""
    folder.mkdir()
    corners = [(x, y, z) for x in (-1, 1) for y in (-0.5, 0.5) for z in (-0.3, 0.3)]
    faces = [(1, 2, 4, 3), (5, 7, 8, 6), (1, 5, 6, 2), (3, 4, 8, 7), (1, 3, 7, 5), (2, 6, 8, 4)]
    text = "".join(f"v {x} {y} {z}\n" for x, y, z in corners) + "".join("f {} {} {} {}\n".format(*f) for f in faces)
    (folder / "box.obj").write_text(text)
    (folder / "roof.obj").write_text("v -1 0 -1\nv 1 0 -1\nv 0 1 0\nv 0 0 1\nf 1 3 2\nf 1 4 3\nf 2 3 4\nf 1 2 4\n")


def test_a_cell_and_the_table_of_a_tiny_run(tmp_path):
    write_assets(tmp_path / "assets")
    (tmp_path / "tiny.yaml").write_text(TINY)
    cells = [tmp_path / f"{name}.0.json" for name in ("families", "wires")]
    for cell in cells:
        name = cell.name.split(".")[0]
        arguments = ["--collection", name, "--seed", "0", "--assets", str(tmp_path / "assets"), "--out", str(cell)]
        assert main(["experiment", "ingredients", "--experiment", str(tmp_path / "tiny.yaml"), *arguments]) == 0
    rows = json.loads(cells[0].read_text())
    assert [(row["inputs"], row["asset"]) for row in rows] == [
        (count, name) for count in (4, 1) for name in ("box.obj", "roof.obj")
    ]
    assert all(0 < row["iou"] <= 1 and 0 < row["fg_psnr"] < 60 for row in rows)
    assert main(["experiment", "ingredients-table", *map(str, cells), "--out", str(tmp_path / "t.csv")]) == 0
    table = pd.read_csv(tmp_path / "t.csv")
    assert len(table) == 8 and (table.loc[table["collection"] == "families", "gain"] == 0).all()


def test_gains_are_paired_by_asset_and_seeds_are_averaged_first(tmp_path):
    rng = np.random.default_rng(0)
    hard, luck = rng.normal(0, 3, 6), rng.normal(0, 1, 3)  # what an asset and a seed are worth to every collection
    for collection, better in (("families", 0.0), ("cuts", 0.5)):
        for seed in range(3):
            rows = [
                {"collection": collection, "seed": seed, "inputs": 4, "asset": str(asset)}
                | {"fg_psnr": 20 + hard[asset] + luck[seed] + better + 0.01 * asset * bool(better), "iou": 0.8}
                for asset in range(6)
            ]
            (tmp_path / f"{collection}.{seed}.json").write_text(json.dumps(rows))
    table = write_ingredients(sorted(tmp_path.glob("*.json")), tmp_path / "table.csv")
    cuts = table[(table["collection"] == "cuts") & (table["metric"] == "fg_psnr")].iloc[0]
    assert cuts["gain"] == pytest.approx(0.525) and 0.49 < cuts["gain_low"] < 0.525 < cuts["gain_high"] < 0.56
    assert cuts["gain_by_seed"] == "+0.525 +0.525 +0.525" and cuts["assets"] == 6


def test_ingredients_change_every_fifth_object_and_the_seed_all(tmp_path):
    (tmp_path / "tiny.yaml").write_text(TINY)
    config = read_ingredients(tmp_path / "tiny.yaml").bed
    plain, wires, other = render_objects(config), render_objects(config, ("wires",)), render_objects(config, (), 1)
    same = [np.array_equal(a, b) for a, b in zip(plain.rgba, wires.rgba)]
    assert same == [True, True, True, True, False]
    assert not any(np.array_equal(a, b) for a, b in zip(plain.rgba, other.rgba))


def test_no_assets_and_unknown_collections_are_refused(tmp_path):
    for folder in (None, tmp_path):
        with pytest.raises(ConfigError, match="assets=FOLDER"):
            find_assets(folder)
    (tmp_path / "bad.yaml").write_text("collections: [stones]")
    with pytest.raises(ConfigError, match="stones"):
        read_ingredients(tmp_path / "bad.yaml")
