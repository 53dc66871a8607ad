import json

import numpy as np
import pandas as pd
import pytest

from mousefacelift.check.table import compare_arms
from mousefacelift.core.cameras import ring
from mousefacelift.core.images import contact_sheet, shared_crop
from mousefacelift.core.records import SampleFacts, ViewFacts
from mousefacelift.core.samples import Sample, View, write_sample
from mousefacelift.errors import DataError
from mousefacelift.report import data_sections
from mousefacelift.report.build import build_report
from mousefacelift.report.config import ReportConfig
from mousefacelift.report.page import Section, item_table
from tests.lrm.toy import build_toy_dataset

CAMERA = {
    "name": "<0>",
    "azimuth": 216.5,
    "elevation": 8.3,
    "distance_mm": 313.2,
    "hull_iou": 0.99,
    "ray_agreement": 1.0,
    "tangency_px": 0.2,
    "shift_px": [1.5, -2.0],
    "rotation_deg": [0.0, 0.0, 0.0],
}
RIG = {
    "report": {
        "format": "mammal_pickle",
        "convention": "R w2c OpenCV",
        "unit": "mm",
        "ring_order": ["0"],
        "cameras": [CAMERA],
        "refinement": {"kind": "principal_point", "held_out_before_px": 4.0, "held_out_after_px": 0.5},
    }
}


def spot(size=32, at=16):
    rgba = np.zeros((size, size, 4), np.float32)
    rgba[at - 3 : at + 3, at - 3 : at + 3] = (0.5, 0.2, 0.1, 1.0)
    return rgba


@pytest.fixture
def results(tmp_path):
    """A results folder with one audited recording and one distilled frame, in the stages' own formats."""
    capture, distill = tmp_path / "results/capture/m", tmp_path / "results/distill"
    (capture / "samples/c").mkdir(parents=True)
    (capture / "rig.json").write_text(json.dumps(RIG))
    views = tuple(View(spot(), camera, ViewFacts(i)) for i, camera in enumerate(ring(3, 32)))
    candidates = [
        {"cluster": c, "status": s, "reason": r}
        for c, s, r in [
            (0, "accepted", None),
            (0, "duplicate", None),
            (1, "refused", "support 0.1 below 0.9"),
            (2, "refused", "blank"),
        ]
    ]
    for folder, name in ((capture / "samples/c", "000003"), (distill / "m/samples/c", "000003")):
        write_sample(folder / name, Sample(views, SampleFacts("real", "m", frame=3, config_hash="toy")))
        row = {"name": name, "frame": 3, "time_s": 0.3, "accepted": 1, "scores": {"psnr": 25.5}}
        (folder / "index.json").write_text(json.dumps({"key": "k", "header": {}, "items": [row]}))
    (distill / "m/samples/c/000003/candidates.json").write_text(json.dumps({"frame": 3, "candidates": candidates}))
    return tmp_path / "results"


def build(results):
    build_report(results, results / "report/index.html", ReportConfig())
    return (results / "report/index.html").read_text()


def test_the_page_shows_what_ran_and_says_what_did_not(results):
    page = build(results)
    for text in (
        "principal_point",
        "313.2",
        "1.50 -2.00",
        "Not run: the decision",
        "Not run: splats",
        "Not run: training",
        "Not run: evaluation",
        "what became of the candidates",
        "distinct angles among the candidates",
    ):
        assert text in page, text
    assert "&lt;0&gt;" in page and "<0>" not in page  # names are text, never markup
    assert "http" not in page.replace("http://www.w3.org", "")  # nothing is fetched


def test_the_sweep_is_a_table_of_its_arms_and_a_single_run_claims_no_spread(results):
    numbers = {
        name: {"mean": 17.5, "low": 17.0, "high": 18.0, "worst": 15.0, "n": 5, "n_eff": 4.0}
        for name in ("fg_psnr", "full_psnr", "fg_ssim", "iou", "coverage")
    }
    entry = {
        "held_out": {"model": numbers},
        "inputs": {},
        "consistency": {},
        "health": {"needle_share": 0.25},
        "surface": {"chamfer_mm": 1.5},
        "cameras": [5],
        "collapse": {"judged": True, "findings": ["mean_image"], "frames": 5, "metrics": {}},
    }
    (results / "evaluate/80-20.seed1").mkdir(parents=True)
    summary = {"arm": "80-20", "predictions": {"seed": 1}, "protocols": {"C": entry}}
    (results / "evaluate/80-20.seed1/summary.json").write_text(json.dumps(summary))
    runs = [
        {"arm": arm, "protocol": "C", "method": "model", "collapse": collapse, **{name: psnr for name in numbers}}
        for arm, psnr, collapse in (("80-20", 17.0, ""), ("80-20", 18.0, "mean_image"), ("real-only", 12.25, ""))
    ]
    compare_arms(runs, results / "evaluate/sweep_arms.csv")
    page = build(results)
    assert "the arms of the sweep" in page and "17.50 ± 0.71" in page and "12.25<" in page
    assert "needle share" in page and "chamfer mm" in page and "1.500<" in page
    assert "arm 80-20.seed1, protocol C" in page and "collapse found: mean_image" in page


def test_a_broken_result_is_an_error_that_names_it(results):
    (results / "distill/m/samples/c/000003/candidates.json").write_text("{")
    with pytest.raises(DataError, match="candidates.json"):
        build(results)


def test_a_missing_results_folder_is_an_error(tmp_path):
    with pytest.raises(DataError, match="does not exist"):
        build(tmp_path / "nothing")
    (tmp_path / "results/report").mkdir(parents=True)  # as the command's lock makes it, in a folder without a run
    with pytest.raises(DataError, match="does not exist or is empty"):
        build(tmp_path / "results")


def test_a_collapse_finding_is_an_alarm_above_everything(results):
    folder = results / "evaluate/80-20"
    folder.mkdir(parents=True)
    (folder / "summary.json").write_text(
        json.dumps(
            {
                "arm": "80-20",
                "protocols": {
                    "B": {
                        "held_out": {},
                        "inputs": {},
                        "consistency": {},
                        "health": {"needle_share": 0.25},
                        "surface": {"chamfer_mm": 1.5},
                        "collapse": {"judged": True, "findings": ["white_out"], "metrics": {}, "frames": 6},
                    }
                },
            }
        )
    )
    page = build(results)
    assert '<p class="alarm">' in page and page.index("collapse found: white_out") < page.index('id="capture"')


def test_item_tables_hold_least_median_and_most_of_numbers_alone():
    section = Section("s", "S")
    item_table(
        section,
        "fits",
        [
            {"name": "a", "frame": 1, "steps": 10, "scores": {"psnr": 20.0}},
            {"name": "b", "frame": 2, "steps": 30, "scores": {"psnr": 21.5}, "bad": float("nan")},
        ],
    )
    assert section.blocks[0].rows == (
        ("", "least", "median", "most"),
        ("steps", "10", "20", "30"),
        ("psnr", "20", "20.750", "21.500"),
    )


def test_pictures_are_cropped_alike_and_keep_all_that_they_show():
    white = np.ones((32, 32, 3), np.float32)
    one, other = white.copy(), white.copy()
    one[15:17, 15:17] = 0
    other[10, 16] = 0
    cropped = shared_crop([one, other], margin=0.0)
    assert (
        {image.shape for image in cropped} == {(12, 12, 3)}
        and (cropped[1] == 0).any()
        and (cropped[0] == 0).sum() == 12
    )
    assert shared_crop([white])[0].shape == (32, 32, 3)
    assert contact_sheet(cropped, 2, labels=("a", "b")).shape == (28, 28, 3)


def test_the_dataset_is_told_from_stretches_of_its_tables_as_from_the_whole(tmp_path, monkeypatch):
    folder = build_toy_dataset(tmp_path / "dataset", 16, 24, 3)
    header = json.loads((folder / "dataset.json").read_text())
    header["counts"] |= {"mouse_samples": 12, "mouse_items": 60, "mouse_items_augmented": 120}
    (folder / "dataset.json").write_text(json.dumps(header))
    samples = pd.read_parquet(folder / "samples.parquet").astype({"decision": str, "reason": str})
    samples.loc[[2, 22], ["decision", "reason"]] = ["refused", "a hole"]
    samples.astype({"decision": "category"}).to_parquet(folder / "samples.parquet")
    whole = data_sections.dataset(tmp_path, ReportConfig())
    monkeypatch.setattr(data_sections, "STRETCH", 7)
    assert data_sections.dataset(tmp_path, ReportConfig()) == whole
    counts, refused = whole.blocks[0].rows, next(b for b in whole.blocks if "refused" in b.title).rows
    assert {row[0]: row[-3:] for row in counts[1:]} == {"object": ("3", "24", "0"), "real": ("22", "132", "2")}
    assert [row[2] for row in refused[1:]] == ["a hole", "a hole"] and refused[1][1] == "real/000002"
    assert [block.title for block in whole.blocks if block.kind == "picture"] == ["azimuths of real views"]
