"""The page decides first, folds the rest away, and holds the splats that it turns."""

import base64
import json
import re

import numpy as np
import pytest
import torch

from mousefacelift.report.build import build_report
from mousefacelift.report.config import ReportConfig
from mousefacelift.report.decision_figures import BLUE, GREY, ORANGE
from mousefacelift.report.pack import BYTES, pack_splat
from mousefacelift.report.viewer_section import viewer
from tests.report.pages import ball, write_decision, write_splats


@pytest.fixture
def results(tmp_path):
    write_decision(tmp_path / "results")
    write_splats(tmp_path / "results")
    return tmp_path / "results"


def build(results):
    build_report(results, results / "report/index.html", ReportConfig())
    return (results / "report/index.html").read_text()


def test_the_verdict_is_the_first_sentence_and_figures_tables_and_stages_follow(results):
    page = build(results)
    order = ["<b>use</b> GS-LRM 80-20 &lt;b&gt;", "<b>because</b>", "<b>sure to</b>", "<b>do not trust</b>"]
    order += ['id="picture"', 'id="viewer"', 'id="evidence"', "trust map in numbers", "worst cases from"]
    order += ['id="details"', '<details class="stage" id="evaluation"', '<details class="stage" id="training"']
    places = [page.index(text) for text in order]
    assert places == sorted(places), list(zip(order, places))
    assert page.count('class="plot"') == 4 and "one-picture model" in page and "frame 3" in page
    assert not re.search(r"(src|href)=\"(?!data:|#)", page)  # nothing is fetched


def test_a_model_that_collapsed_is_marked_in_its_row(tmp_path):
    write_decision(tmp_path / "results", ("mean_image",))
    assert "80-20 (mean_image)" in build(tmp_path / "results")


def splats_of(results):
    block = viewer(results, ReportConfig()).blocks[0]
    return json.loads(block.text)


def test_every_arm_and_moment_that_kept_its_splat_can_be_chosen(results):
    document = splats_of(results)
    assert document["moments"] == ["m, frame 3", "m, frame 7"]
    assert document["arms"] == ["80-20, 3 pictures", "one picture"]
    assert set(document["splats"]) == {"0/0", "0/1", "1/0"}


def test_splats_are_thinned_to_the_size_that_the_page_allows(results, monkeypatch):
    monkeypatch.setattr(ReportConfig, "viewer_megabytes", 0.01)
    document = splats_of(results)
    assert len(json.dumps(document)) < 0.011e6 + 1500
    assert all(0 < splat["count"] < 400 for splat in document["splats"].values())


def test_no_splat_is_said_to_be_none(tmp_path):
    write_decision(tmp_path / "results")
    assert "Not run: a reconstruction" in viewer(tmp_path / "results", ReportConfig()).blocks[0].text


def test_a_packed_splat_is_the_splat_within_its_steps():
    gaussians = ball()
    packed = pack_splat(gaussians, 10_000)
    data, count = base64.b64decode(packed["data"]), packed["count"]
    assert count == 400 and len(data) == BYTES * count
    place = np.frombuffer(data[: 6 * count], "<u2").reshape(-1, 3) / 65535
    means = np.array(packed["low"]) + np.array(packed["span"]) * place
    order = np.argsort(-(gaussians.opacities * gaussians.scales.sort(-1).values[:, 1:].prod(-1)).numpy(), kind="stable")
    distance = np.abs(means[:, None] - gaussians.means.numpy()[None]).max(-1).min(1)
    assert distance.max() < 1e-4 and len(order) == count
    logs = np.frombuffer(data[6 * count : 9 * count], np.uint8).reshape(-1, 3) / 255
    low, high = packed["scales"]
    assert np.allclose(np.sort(np.exp(low + (high - low) * logs), 1)[0], [0.03, 0.05, 0.06], rtol=0.01)
    colours = np.frombuffer(data[13 * count :], np.uint8).reshape(-1, 4) / 255
    assert np.abs(colours[:, 3] - 0.95).max() < 0.003 and 0.4 < (colours[:, 2] > 0.5).mean() < 0.6


def test_thinning_keeps_what_covers_most():
    gaussians = ball()
    gaussians.opacities[:50] = 0.01
    kept = pack_splat(gaussians, 350)
    colours = np.frombuffer(base64.b64decode(kept["data"])[13 * 350 :], np.uint8).reshape(-1, 4)
    assert kept["count"] == 350 and colours[:, 3].min() > 200


# linear RGB as people without red, green or blue cones see it; Machado, Oliveira and Fernandes 2009, severity 1
BLINDNESS = {
    "protan": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deutan": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritan": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}


@pytest.mark.parametrize("kind", BLINDNESS)
def test_the_figures_colours_are_told_apart_by_the_colour_blind(kind):
    def seen(color):
        rgb = np.array([int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)])
        linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
        return np.clip(np.array(BLINDNESS[kind]) @ linear, 0, 1) ** (1 / 2.2)

    shown = [seen(color) for color in (BLUE, ORANGE, GREY)]
    gaps = [np.linalg.norm(a - b) for i, a in enumerate(shown) for b in shown[:i]]
    assert min(gaps) > 0.15, gaps


def test_empty_splats_are_packed_too():
    assert pack_splat(ball().select(torch.zeros(400, dtype=torch.bool)), 10)["count"] == 0
