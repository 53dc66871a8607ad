"""The embedding: turned, moved and scaled bodies have one vector, files hold the table, triples are counted."""

import json
import tracemalloc
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.io import netcdf_file

from mousefacelift.cli import main
from mousefacelift.core.cameras import ring
from mousefacelift.core.gaussians import Gaussians
from mousefacelift.core.records import SampleFacts, ViewFacts
from mousefacelift.core.render import render_pictures
from mousefacelift.core.samples import Sample, View, write_sample
from mousefacelift.embed import triples
from mousefacelift.embed.chunk import embed_samples, embed_splats, in_millimetres
from mousefacelift.embed.metric import learn_metric
from mousefacelift.embed.moments import SIZE, splat_moments
from mousefacelift.embed.table import add_invariant, join_cameras, measure, training_rows, write_embedding
from mousefacelift.embed.triples import standardise, triple_share
from mousefacelift.errors import DataError
from mousefacelift.prior.model import SHIPPED
from tests.peers import install, run_python


def body(bend=0.0, seed=0, count=600):
    """A long body of Gaussians along x, bent sideways, with a high head."""
    generator = torch.Generator().manual_seed(seed)
    along = torch.rand(count, generator=generator) * 1.6 - 0.8
    noise = 0.12 * torch.randn(count, 3, generator=generator)
    means = torch.stack([along, bend * along.square(), 0.3 * along.clamp_min(0)], 1) + noise
    scales = torch.full((count, 3), 0.05)
    quats = torch.tensor([1.0, 0, 0, 0]).repeat(count, 1)
    return Gaussians.from_rgb(means, quats, scales, torch.full((count,), 0.9), torch.full((count, 3), 0.3))


def turned(gaussians, degrees, scale=1.0, shift=(0.0, 0.0, 0.0)):
    a = np.radians(degrees)
    turn = torch.tensor([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]], dtype=torch.float32)
    means = scale * gaussians.means @ turn.T + torch.tensor(shift)
    return Gaussians(means, gaussians.quats, scale * gaussians.scales, gaussians.opacities, gaussians.sh)


def test_moments_do_not_know_heading_place_or_size_but_the_shape():
    straight = splat_moments(body())
    moved = splat_moments(turned(body(), 137, 2.5, (0.3, -1.0, 0.2)))
    assert straight.shape == (SIZE,) and np.abs(straight - moved).max() < 1e-5
    again, bent = splat_moments(body(seed=1)), splat_moments(body(bend=0.8))
    assert np.linalg.norm(straight - bent) > 3 * np.linalg.norm(straight - again)
    tipped = body()
    tipped.means[:] = tipped.means[:, [2, 1, 0]]
    assert np.linalg.norm(straight - splat_moments(tipped)) > 3 * np.linalg.norm(straight - again)


def test_a_splat_of_nothing_has_no_shape():
    with pytest.raises(DataError, match="no shape"):
        splat_moments(body().select(torch.zeros(600, dtype=torch.bool)))


def test_triples_count_views_of_one_moment_against_views_of_others():
    moments = np.array([0, 0, 1, 1])
    apart = np.array([[0.0], [0.1], [5.0], [5.1]])
    assert triple_share(apart, moments) == {"share": 1.0, "triples": 8.0}
    assert triple_share(np.zeros((4, 1)), moments)["share"] == 0.5  # a constant vector is a coin
    assert np.isnan(triple_share(apart, moments, apart=2)["share"])  # nothing lies that far apart
    assert triple_share(np.array([[0.0], [3.0], [1.0], [2.0]]), moments)["share"] < 0.5


def test_of_many_moments_some_are_asked_and_no_table_of_all_pairs_is_held(monkeypatch):
    """3,000 views: all their differences would be 580 MB."""
    rng = np.random.default_rng(0)
    moments = np.arange(1000).repeat(3)
    vectors = rng.normal(size=(1000, 8)).repeat(3, 0) + rng.normal(size=(3000, 8))
    monkeypatch.setattr(triples, "ASKED", 200)
    tracemalloc.start()
    found = triple_share(vectors, moments, apart=20)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    monkeypatch.setattr(triples, "ASKED", 1000)
    assert peak < 5e6 and found["triples"] < triple_share(vectors, moments, apart=20)["triples"] / 4
    assert found["share"] == pytest.approx(triple_share(vectors, moments, apart=20)["share"], abs=0.03)


def test_numbers_that_never_vary_do_not_count():
    vectors = np.array([[1.0, 7.0], [3.0, 7.0]])
    assert standardise(vectors).tolist() == [[-1, 0], [1, 0]]


@pytest.fixture(scope="module")
def chunk(tmp_path_factory):
    """Two moments of a body seen by three cameras, as capture writes them, and the splats fitted to them."""
    root, rows = tmp_path_factory.mktemp("embed"), []
    for frame, bend in ((4, 0.0), (6, 0.9)):
        name, gaussians = f"{frame:06d}", body(bend)
        cameras = ring(3, 64)
        views = [
            View(rgba, c, ViewFacts(i)) for i, (rgba, c) in enumerate(zip(render_pictures(gaussians, cameras), cameras))
        ]
        similarity = {"scale": 0.01, "rotation": np.eye(3).tolist(), "translation": [0.0, 0.0, -1.0]}
        facts = SampleFacts("real", "m", frame=frame, config_hash="toy", details={"similarity": similarity})
        hashes = write_sample(root / "samples" / name, Sample(tuple(views), facts))
        (root / "fits" / name).mkdir(parents=True)
        gaussians.save(root / "fits" / name / "splat.npz")
        rows.append({"name": name, "frame": frame, "time_s": frame / 10, "hashes": hashes})
    for part in ("samples", "fits"):
        (root / part / "index.json").write_text(json.dumps({"key": "k", "header": {}, "items": rows}))
    embed_splats(root / "fits/index.json", root / "samples/index.json", root / "moments/index.json")
    return root


def test_the_prior_gives_every_camera_of_a_frame_its_code_and_place(chunk):
    index = embed_samples(chunk / "samples/index.json", SHIPPED, chunk / "prior/index.json", steps=0)
    assert [row["frame"] for row in index["items"]] == [4, 6] and index["items"][1]["time_s"] == 0.6
    views = index["items"][0]["views"]
    assert [view["camera"] for view in views] == [0, 1, 2] and {len(view["vector"]) for view in views} == {64}
    assert np.std([view["vector"] for view in views]) > 0.1
    assert abs(views[0]["center"][2] - 100) < 60  # millimetres: the world's origin lies 100 mm above the rig's


def test_splats_give_one_vector_per_frame_and_files_hold_the_table(chunk):
    index = embed_splats(chunk / "fits/index.json", chunk / "samples/index.json", chunk / "moments/index.json")
    assert [view["camera"] for row in index["items"] for view in row["views"]] == [-1, -1]
    quality = write_embedding([chunk / "moments/index.json"], "m", chunk / "out")
    assert quality["frames"] == 2 and quality["vectors"] is None and quality["model"] == "moments"
    table = pd.read_parquet(chunk / "out/embedding.parquet")
    assert table["frame"].tolist() == [4, 6] and list(table.columns)[-1] == "e63"
    assert np.allclose(pd.read_csv(chunk / "out/embedding.csv")["e00"], table["e00"])


def test_the_command_takes_the_list_of_the_chunks_in_place_of_their_paths(chunk, tmp_path):
    embed_splats(chunk / "fits/index.json", chunk / "samples/index.json", tmp_path / "000004-000006/index.json")
    assert main(["dataset", "list", "--frames", "4:7:2", "--size", "2", "--out", str(tmp_path / "chunks.json")]) == 0
    words = ["embed", "table", str(tmp_path / "chunks.json"), "--recording", "m", "--out", str(tmp_path / "out")]
    assert main(words) == 0
    assert pd.read_parquet(tmp_path / "out/embedding.parquet")["frame"].tolist() == [4, 6]


def test_the_netcdf_file_is_a_pose_dataset_with_vectors_beside_it(chunk):
    embed_samples(chunk / "samples/index.json", SHIPPED, chunk / "prior/index.json", steps=0)
    quality = write_embedding([chunk / "prior/index.json"], "mouse", chunk / "nc")
    assert quality["views"] == 6 and quality["judged_frames"] == 1 and quality["invariant"] is None
    with netcdf_file(chunk / "nc/embedding.nc", mmap=False) as file:
        position, vectors = file.variables["position"], file.variables["embedding"]
        assert position.dimensions == ("time", "space", "keypoints", "individuals") and position.shape == (2, 3, 1, 1)
        assert vectors.shape == (2, 1, 64) and file.variables["time"][:].tolist() == [0.4, 0.6]
        assert b"".join(file.variables["individuals"][0]) == b"mouse" and file.ds_type == b"poses"
        assert file.fps == pytest.approx(5.0)
        table = pd.read_parquet(chunk / "nc/embedding.parquet")
        whole = table[table["camera"] == -1]
        assert np.allclose(vectors[:, 0], whole.filter(regex=r"^e\d+$")) and len(table) == 8


def test_xarray_reads_the_netcdf_file(chunk):
    xarray = pytest.importorskip("xarray", reason="needs xarray, which movement brings")
    write_embedding([chunk / "moments/index.json"], "mouse", chunk / "xr")
    with xarray.open_dataset(chunk / "xr/embedding.nc", engine="scipy") as data:
        assert data["individuals"].item() in ("mouse", b"mouse") and data["embedding"].dims[0] == "time"


def test_nwb_without_its_package_says_what_to_install(chunk):
    try:
        import pynwb
    except ImportError:
        with pytest.raises(DataError, match=r"mousefacelift\[nwb\]"):
            write_embedding([chunk / "moments/index.json"], "m", chunk / "nwb", nwb=True)
    else:
        write_embedding([chunk / "moments/index.json"], "m", chunk / "nwb", nwb=True)
        with pynwb.NWBHDF5IO(chunk / "nwb/embedding.nwb", "r") as reader:
            assert reader.read().processing["behavior"]["embedding"].data.shape == (2, 64)


NWB = """
import json, sys
from pathlib import Path
import pynwb
from mousefacelift.embed.table import write_embedding
write_embedding([Path(sys.argv[1])], "m", Path(sys.argv[2]), nwb=True)
file = Path(sys.argv[2]) / "embedding.nwb"
with pynwb.NWBHDF5IO(str(file), "r") as reader:
    found = reader.read().processing["behavior"]
    print(json.dumps([[name, list(series.data.shape), series.unit] for name, series in found.data_interfaces.items()]))
assert not pynwb.validate(path=str(file)), "not valid by the schema"
"""
NWB_PACKAGES = ("pynwb==4.2.0", "hdmf==6.2.0", "jsonschema==4.26.0", "jsonschema-specifications==2025.9.1")
NWB_PACKAGES += ("referencing==0.37.0", "rpds-py==2026.9.1", "ruamel.yaml==0.19.1", "attrs==26.1.0")


@pytest.mark.slow
def test_pynwb_reads_the_file_and_finds_it_valid(chunk, tmp_path):
    peers = install(tmp_path / "peers", *NWB_PACKAGES)
    environment = f"import sys; sys.path.append({str(Path(__file__).parents[2])!r})"
    found = json.loads(run_python(peers, environment + NWB, chunk / "moments/index.json", tmp_path / "out"))
    assert {name: shape for name, shape, _ in found} == {"embedding": [2, 64], "position": [2, 3], "heading": [2]}
    assert {name: unit for name, _, unit in found}["position"] == "mm"


def cameras_and_poses(moments, seed=0):
    """Vectors [6 * moments, 64] of few pose directions and many in which six cameras disagree, and their moments."""
    rng = np.random.default_rng(seed)
    pose, noise = np.random.default_rng(9).normal(size=(6, 64)), np.random.default_rng(8).normal(size=(20, 64))
    truth = np.repeat(rng.normal(size=(moments, 6)), 6, axis=0)
    vectors = truth @ pose + 1.5 * rng.normal(size=(6 * moments, 20)) @ noise
    return vectors, np.repeat(np.arange(moments), 6)


def test_what_cameras_disagree_about_is_left_out_on_moments_that_it_was_not_learnt_from():
    metric = learn_metric(*cameras_and_poses(20))
    vectors, moments = cameras_and_poses(20, seed=1)
    assert triple_share(standardise(vectors), moments)["share"] < 0.8
    assert triple_share(metric.apply(vectors), moments)["share"] > 0.95
    with pytest.raises(DataError, match="too few moments"):
        learn_metric(*cameras_and_poses(3))


def test_the_metric_learns_from_training_frames_alone_and_is_judged_on_the_others(tmp_path):
    vectors, moments = cameras_and_poses(16)
    rows = [
        {
            "frame": int(m),
            "time_s": m / 4,
            "camera": i % 6,
            "model": "prior",
            "heading": 0.0,
            "x": 0.0,
            "y": 0.0,
            "z": 0.0,
        }
        | {f"e{k:02d}": value for k, value in enumerate(vector)}
        for i, (m, vector) in enumerate(zip(moments, vectors))
    ]
    labels = {str(frame): "train" if frame < 8 else "none" for frame in range(16)}
    labels |= {str(frame): "test" for frame in range(10, 16)} | {"8": "guard", "9": "guard"}
    facts = {"m": {"fps": 4.0, "guard_s": 0.5, "correlation_time_s": 0.0, "cuts": [], "subject": "m", "blocks": []}}
    document = {"version": 1, "by": "time", "held_out_camera": None, "recordings": {"m": labels}, "facts": facts}
    (tmp_path / "splits.json").write_text(json.dumps(document))
    table = pd.DataFrame(rows)
    is_train = training_rows(table, "m", tmp_path / "splits.json")
    assert is_train.sum() == 8 * 6 and training_rows(table, "m", None).sum() == 8 * 6
    full = add_invariant(table, is_train)
    own = learn_metric(vectors[:48], moments[:48]).apply(vectors)
    assert np.allclose(full.filter(regex=r"^v\d+$"), own) and own.shape == (96, 7)
    quality = measure(full, ~is_train)
    assert quality["judged_frames"] == 8 and quality["invariant"]["all"]["share"] > quality["vectors"]["all"]["share"]
    assert quality["invariant"]["apart"]["triples"] < quality["invariant"]["all"]["triples"]


def test_headings_are_averaged_around_the_circle():
    rows = [{"frame": 1, "time_s": 0.0, "camera": c, "model": "m", "heading": h} for c, h in ((0, 350.0), (1, 30.0))]
    table = pd.DataFrame([row | {"x": 1.0, "y": 2.0, "z": 3.0, "e00": float(row["camera"])} for row in rows])
    whole = join_cameras(table)
    assert whole["heading"].item() == pytest.approx(10) and whole["e00"].item() == 0.5 and whole["camera"].item() == -1


def test_a_sample_without_millimetres_keeps_its_world():
    assert in_millimetres(np.array([0.1, 0.2, 0.3]), SampleFacts("real", "m")) == [0.1, 0.2, 0.3]


def test_vectors_of_two_models_are_not_mixed(chunk):
    with pytest.raises(DataError, match="several models"):
        write_embedding([chunk / "moments/index.json", chunk / "prior/index.json"], "m", chunk / "mixed")
