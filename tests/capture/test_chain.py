"""Audit, locate, normalise and quality on a toy recording: the stored cameras are true and nothing is clipped."""

import json
from dataclasses import replace

import cv2
import numpy as np
import pytest

from mousefacelift.capture.audit import audit
from mousefacelift.capture.commands import add_commands
from mousefacelift.capture.config import AuditConfig, CaptureConfig
from mousefacelift.capture.drawing import describe_rig, draw_rig
from mousefacelift.capture.normalise import approximation_error, canonical_views, normalise_chunk
from mousefacelift.capture.quality_table import quality_table, summary, write_quality
from mousefacelift.capture.recording import open_recording
from mousefacelift.capture.rig import Rig
from mousefacelift.capture.track import Track
from mousefacelift.cli import main
from mousefacelift.core.cameras import project
from mousefacelift.core.images import mask_iou
from mousefacelift.core.samples import read_sample
from tests.capture.scenes import animal, animal_center, draw_polygons

FRAMES = 12


def test_the_audit_accepts_the_true_rig_and_leaves_it_alone(toy, toy_rig):
    _, cameras, _ = toy
    assert toy_rig.report["convention"] == "R w2c OpenCV" and toy_rig.report["unit"] == "mm"
    assert toy_rig.report["refinement"]["kind"] == "off"
    for camera, truth in zip(toy_rig.cameras, cameras):
        np.testing.assert_allclose(camera.w2c, truth.w2c, atol=1e-9)
        np.testing.assert_allclose(camera.lens.K, truth.lens.K, atol=1e-9)
    assert min(row["hull_iou"] for row in toy_rig.report["cameras"]) > 0.95


def test_rig_and_track_survive_their_files(toy, toy_rig, toy_track, tmp_path):
    toy_rig.write(tmp_path / "rig.json", toy[0])
    again = Rig.read(tmp_path / "rig.json", toy[0])
    assert again.to_key() == json.loads(json.dumps(toy_rig.to_key())) or again.videos == toy_rig.videos
    np.testing.assert_array_equal(again.cameras[2].w2c, toy_rig.cameras[2].w2c)
    toy_track.write(tmp_path / "track.json")
    np.testing.assert_array_equal(Track.read(tmp_path / "track.json").centers, toy_track.centers)


def test_the_audit_describes_and_draws_the_rig(toy_rig):
    text = describe_rig(toy_rig)
    assert all(camera.name in text for camera in toy_rig.cameras) and "ring order" in text
    assert cv2.imdecode(np.frombuffer(draw_rig(toy_rig), np.uint8), 1).shape[2] == 3


def test_azimuths_and_the_drawing_are_about_the_floor_and_a_strange_rate_is_said(toy, toy_rig):
    folder, _, source = toy
    tilted = replace(source, up=(0.0, 0.6, 0.8))
    rig = audit(open_recording("toy", folder, tilted), tilted, AuditConfig(refine="off"))
    middle = np.array(rig.report["animal"]["center_mm"])
    for camera, row in zip(rig.cameras, rig.report["cameras"]):
        away = (camera.center - middle) / np.linalg.norm(camera.center - middle)
        assert row["elevation"] == pytest.approx(np.degrees(np.arcsin(away @ [0, 0.6, 0.8])), abs=0.1)
    assert draw_rig(rig) != draw_rig(replace(rig, up=np.array([0, 0, 1.0])))
    assert "wrong header" not in describe_rig(rig) and "384 frames per second" in describe_rig(replace(rig, fps=384.0))


def test_the_centre_is_within_three_percent_of_the_body(toy_track):
    body_mm = 85.0
    truth = np.stack([animal_center(f / 10, 7) for f in toy_track.frames])
    assert np.linalg.norm(toy_track.centers_raw - truth, axis=1).max() < 0.03 * body_mm


def test_projected_truth_agrees_with_the_stored_camera(toy, toy_track, toy_chunk):
    """The chain lens -> re-aimed pixel, followed by hand, ends where the stored pinhole camera says."""
    _, cameras, _ = toy
    index, _ = toy_chunk
    for frame in (0, 7):
        points = np.concatenate(animal(frame / 10, 7))
        sample = read_sample(index.parent / f"{frame:06d}")
        for old, view in zip(cameras, sample.views):
            pixels, _ = old.project(points)  # where the lens put them
            rays = np.concatenate([old.lens.undistort(pixels), np.ones((len(points), 1))], 1)
            turned = rays @ old.R @ toy_track.rotation.T @ view.camera.R.T  # rotation only: no depth is used
            fx, fy, cx, cy = view.camera.fxfycxcy
            by_hand = turned[:, :2] / turned[:, 2:] * [fx, fy] + [cx, cy]
            stored, _ = project(view.camera, toy_track.canonical(frame).apply(points))
            np.testing.assert_allclose(stored, by_hand, atol=1e-3)


def test_stored_silhouettes_are_the_true_ones(toy_track, toy_chunk):
    index, _ = toy_chunk
    for frame in (0, 5, 11):
        parts = animal(frame / 10, 7)
        for view in read_sample(index.parent / f"{frame:06d}").views:
            pixels = [project(view.camera, toy_track.canonical(frame).apply(part))[0] for part in parts]
            truth = draw_polygons(pixels, 128, 128, scale=16) > 127
            # views of 200 to 600 px area: a tenth of a pixel along the edge is 2 percent (real size: benchmarks)
            assert mask_iou(view.rgba[..., 3] > 0.5, truth) > 0.965


def test_world_is_canonical_and_no_view_is_clipped(toy_chunk):
    index, document = toy_chunk
    distances = []
    for item in document["items"]:
        sample = read_sample(index.parent / item["name"])
        for view, row in zip(sample.views, item["quality"]):
            fx, fy, cx, cy = view.camera.fxfycxcy
            assert fx == fy and cx == cy == 64
            assert project(view.camera, np.zeros(3))[0] == pytest.approx([64, 64], abs=1e-6)
            assert view.camera.R[1] @ [0, 0, 1] < 0  # image down is world down
            assert row["border_share"] == 0 and row["hull_iou"] > 0.93
            distances.append(np.linalg.norm(view.camera.center))
        assert sample.facts.source == "real" and sample.facts.recording == "toy"
        assert sample.facts.licence == "CC0 toy" and len(sample.facts.config_hash) == 16
    assert np.mean(distances) == pytest.approx(2.7, abs=0.02)


def test_colours_do_not_bleed_background_into_the_edge(toy_chunk):
    index, _ = toy_chunk
    rgba = read_sample(index.parent / "000003").views[0].rgba
    inside, edge = rgba[rgba[..., 3] > 0.99][:, 2], rgba[(rgba[..., 3] > 0.1) & (rgba[..., 3] < 0.6)][:, 2]
    assert np.percentile(edge, 20) > 0.6 * np.percentile(inside, 20)
    assert not rgba[rgba[..., 3] == 0][:, :3].any()


def test_a_killed_chunk_goes_on_where_it_stopped(toy_rig, toy_track, toy_chunk, tmp_path, monkeypatch):
    from mousefacelift.capture import normalise

    calls, real = [], normalise.write_sample

    def dying(folder, sample, compression, into):
        calls.append(folder)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return real(folder, sample, compression, into=into)

    index, config = tmp_path / "000000-000011" / "index.json", CaptureConfig(size=128)
    monkeypatch.setattr(normalise, "write_sample", dying)
    with pytest.raises(KeyboardInterrupt):
        normalise_chunk(index, toy_rig, toy_track, range(FRAMES), config)
    assert not index.exists()
    document = normalise_chunk(index, toy_rig, toy_track, range(FRAMES), config)
    assert len(calls) == 4 + FRAMES - 3
    assert document["items"] == toy_chunk[1]["items"]


def test_approximate_mode_states_its_error(toy_rig, toy_track):
    exact = canonical_views(toy_rig, toy_track, 0, 512)
    assert approximation_error(exact, 0.5)["p95_px"] < 1e-9
    views = canonical_views(toy_rig, toy_track, 0, 512, "approximate")
    np.testing.assert_allclose([np.linalg.norm(v.stored.center) for v in views], 2.7)
    error = approximation_error(views, 0.5)
    assert 0.1 < error["p50_px"] < error["p95_px"] < 40


def test_quality_table_and_plot(toy_chunk, tmp_path):
    table = quality_table([toy_chunk[0]])
    assert len(table.rows) == FRAMES * 5 and summary(table)["clipped"] == 0
    numbers = write_quality(table, tmp_path / "quality.csv")
    assert numbers["frames"] == FRAMES and (tmp_path / "quality.png").stat().st_size > 10_000


def test_an_outlier_is_flagged_with_its_reason(toy_chunk):
    from mousefacelift.capture.quality_table import flag_outliers

    rows = quality_table([toy_chunk[0]]).rows.copy()
    rows.loc[7, "exposure"] = 0.99
    rows.loc[9, "border_share"] = 0.1
    flags = flag_outliers(rows)
    assert "exposure" in flags[7] and "clipped" in flags[9] and sum(map(bool, flags)) <= 4


def test_commands_do_the_whole_chain(toy, tmp_path, capsys):
    folder, out = str(toy[0]), tmp_path / "résultats du labo"
    config = json.dumps(
        {"capture": {"size": 64}, "recordings": {"toy": {"path": folder, "frames": [0, 14, 2]}}, "seed": 0}
    )
    common = [folder, "--recording", "toy", "--config-json", config]
    assert main(["capture", "audit", *common, "--out", str(out / "rig.json")]) == 0
    assert main(["capture", "locate", *common, "--rig", str(out / "rig.json"), "--out", str(out / "track.json")]) == 0
    index = out / "samples/000000-000012/index.json"
    assert (
        main(
            [
                "capture",
                "normalise",
                *common,
                "--rig",
                str(out / "rig.json"),
                "--track",
                str(out / "track.json"),
                "--frames",
                "0:14:2",
                "--out",
                str(index),
            ]
        )
        == 0
    )
    assert main(["capture", "quality", str(index), "--out", str(out / "quality.csv")]) == 0
    document = json.loads(index.read_text())
    assert [item["frame"] for item in document["items"]] == [0, 2, 4, 6, 8, 10]
    assert "beyond the end" in document["header"]["excluded"]["12"]
    assert main(["capture", "readers"]) == 0 and "nerfstudio" in capsys.readouterr().out


def test_commands_refuse_what_is_not_configured(toy, tmp_path, capsys):
    config = json.dumps({"recordings": {"toy": {}}})
    assert (
        main(
            [
                "capture",
                "audit",
                str(toy[0]),
                "--recording",
                "tay",
                "--out",
                str(tmp_path / "r.json"),
                "--config-json",
                config,
            ]
        )
        == 2
    )
    assert "ConfigError" in capsys.readouterr().err
    assert add_commands and AuditConfig().blocks


def test_without_a_configuration_all_frames_are_located_and_a_part_can_be_asked_for(toy, toy_rig, tmp_path, capsys):
    toy_rig.write(tmp_path / "rig.json", toy[0])
    command = ["capture", "locate", str(toy[0]), "--rig", str(tmp_path / "rig.json"), "--out", str(tmp_path / "t.json")]
    for asked, count in (([], FRAMES), (["--frames", "2:11:3"], 3)):
        assert main(command + asked) == 0
        track = Track.read(tmp_path / "t.json")
        assert len(track.frames) == count and not track.excluded
    others = ["--config-json", json.dumps({"recordings": {"another": {"frames": [0, 6]}}})]
    assert main(command + others) == 2 and "--recording" in capsys.readouterr().err
