"""What each change to the data makes anew, and what it leaves alone: over dry runs on a finished run of two recordings.

What learns from all recordings (generator, gate, library, manifest, training) is made anew when one is added or
changed; what comes from one recording alone is not, and no object is.
"""

import re
import shutil
from collections import Counter

import pytest
import yaml

from .test_plan import ROOT, finish, snakemake, write_config

OF_ONE = "results/(?:capture|distill|splats|recordings|objects/scans)/"
AFTER = {  # of the whole data set, after the samples
    "build_manifest": 1,
    "verify_dataset": 1,
    "train_lrm": 1,
    "predict_arm": 1,
    "evaluate_arm": 1,
    "compare_arms": 1,
    "predict_single": 2,
    "evaluate_single": 1,
    "decide": 1,
    "build_report": 1,
    "all": 1,
}
CAPTURED = {"audit_rig": 1, "locate_animal": 1, "quality_table": 1, "calibrate_trust": 1}
LEARNT = {"split_learnt": 1, "train_generator": 1, "learn_gate": 1}
OWN_LISTS = {"list_chunks": 4}  # samples of capture, distill and splats, and rings
OF_ALL = {"split_frames": 1, "build_library": 1} | AFTER
PER_CHUNK = ("normalise_frames", "fit_splats", "render_novel", "render_ring", "distill_views")
FRAMES = [0, 48]  # three chunks
SIZES = ("jobs.frames_per_job", 16), ("jobs.objects_per_job", 20)


def recordings(**changes):
    """Recordings `a` and `b` with changes to the entries, and others."""
    names = {"a": {}, "b": {}} | changes
    return ("recordings", {name: {"path": "virtual", "frames": FRAMES} | entry for name, entry in names.items()})


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("two")
    write_config(folder, [recordings(), *SIZES])
    finish(folder)
    return folder


def planned(folder):
    """[(rule, first output)] of the jobs of a dry run."""
    run = snakemake(folder, "-n")
    assert run.returncode == 0, run.stderr + run.stdout
    jobs = re.findall(r"^(?:local)?rule (\w+):\n((?:    .*\n)*)", run.stdout + run.stderr, re.M)
    return [(rule, (re.findall(r"output: ([^,\n]*)", body) or [""])[0]) for rule, body in jobs]


def remade(finished, tmp_path, *changes):
    """({rule: jobs}, recordings of which something is made) after changes to the configuration."""
    folder = tmp_path / "run"
    shutil.copytree(finished, folder, copy_function=shutil.copy2)
    write_config(folder, [*changes, *SIZES])
    jobs = planned(folder)
    touched = [re.match(f"{OF_ONE}([^/]+)/", output) for _, output in jobs]
    return dict(Counter(rule for rule, _ in jobs)), {match[1] for match in touched if match} - {"generator", "library"}


def per_chunk(chunks, *without):
    return {rule: chunks for rule in PER_CHUNK if rule not in without}


def test_a_finished_run_of_two_recordings_has_nothing_to_do(finished):
    assert planned(finished) == []


def test_one_more_object_renders_its_chunk_alone(finished, tmp_path):
    count = yaml.safe_load((ROOT / "config.yaml").read_text())["objects"]["count"]
    jobs, touched = remade(finished, tmp_path, recordings(), ("objects.count", count + 1))
    assert count % 20 == 0 and jobs == {"render_objects": 1, "list_chunks": 1} | AFTER and touched == set()


def test_another_recording_leaves_the_others_captures_and_splats_alone(finished, tmp_path):
    jobs, touched = remade(finished, tmp_path, recordings(c={}))
    own = {"virtual_recording": 1, "render_scans": 1} | CAPTURED | per_chunk(3, "distill_views")
    painted = {"distill_views": 9, "list_chunks": 5 + 2}  # the generator has learnt from one recording more
    assert jobs == own | LEARNT | painted | OF_ALL and touched == {"a", "b", "c"}


def test_another_recording_trains_no_generator_that_learns_from_named_ones(finished, tmp_path):
    named = tmp_path / "named"
    shutil.copytree(finished, named, copy_function=shutil.copy2)
    write_config(named, [recordings(), ("distill.recordings", ["a", "b"]), *SIZES])
    assert planned(named) == []  # the same as all
    jobs, touched = remade(finished, tmp_path, recordings(c={}), ("distill.recordings", ["a", "b"]))
    own = {"virtual_recording": 1, "render_scans": 1, "list_chunks": 5} | CAPTURED | per_chunk(3)
    assert jobs == own | OF_ALL and touched == {"c"}


def test_an_excluded_frame_leaves_the_other_recordings_captures_and_splats_alone(finished, tmp_path):
    jobs, _ = remade(finished, tmp_path, recordings(b={"exclude": [3]}))
    painted = {"distill_views": 6, "list_chunks": 4 + 1}
    assert jobs == CAPTURED | per_chunk(3, "distill_views") | LEARNT | painted | OF_ALL


def test_an_excluded_frame_of_a_recording_that_nothing_learns_from_touches_it_alone(finished, tmp_path):
    learnt = tmp_path / "learnt"
    shutil.copytree(finished, learnt, copy_function=shutil.copy2)
    write_config(learnt, [recordings(), ("distill.recordings", ["a"]), *SIZES])
    finish(learnt)
    jobs, touched = remade(learnt, tmp_path, recordings(b={"exclude": [3]}), ("distill.recordings", ["a"]))
    assert jobs == CAPTURED | per_chunk(3) | OWN_LISTS | OF_ALL and touched == {"b"}


def test_a_shorter_frame_range_leaves_the_other_recordings_captures_and_splats_alone(finished, tmp_path):
    jobs, _ = remade(finished, tmp_path, recordings(b={"frames": [0, 32]}))
    painted = {"distill_views": 5, "list_chunks": 4 + 1 + 1}  # the other's painted views, and the scans
    assert jobs == CAPTURED | per_chunk(2, "distill_views") | LEARNT | painted | OF_ALL | {"render_scans": 1}


def test_another_split_refits_nothing(finished, tmp_path):
    jobs, _ = remade(finished, tmp_path, recordings(), ("dataset.splits.guard_s", 0.3))
    assert jobs == LEARNT | {"distill_views": 6, "list_chunks": 2} | OF_ALL


def test_another_held_out_camera_refits_everything(finished, tmp_path):
    jobs, _ = remade(finished, tmp_path, recordings(), ("dataset.splits.held_out_camera", 4))
    splats = {"calibrate_trust": 2, "fit_splats": 6, "render_novel": 6, "render_ring": 6}
    assert jobs == splats | LEARNT | {"distill_views": 6, "list_chunks": 2 * 3} | OF_ALL
