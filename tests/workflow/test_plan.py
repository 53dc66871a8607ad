"""What a change reruns, over dry runs on a finished run whose result files are stand-ins (only names and times matter
here)."""

import os
import re
import shutil
from pathlib import Path

import pytest
import yaml

from tests.warm import run_snakemake

ROOT = Path(__file__).resolve().parents[2]
DOWN = {
    "build_manifest",
    "verify_dataset",
    "train_lrm",
    "predict_arm",
    "evaluate_arm",
    "compare_arms",
    "predict_single",
    "evaluate_single",
    "decide",
    "build_report",
    "all",
}
LISTED = {"list_chunks"} | DOWN  # where samples are made anew
JUDGED = {"evaluate_arm", "compare_arms", "evaluate_single", "decide", "build_report", "all"}
TRAINED = {"train_lrm", "predict_arm", "predict_single"} | JUDGED
LIBRARY = {"build_library"}


def snakemake(folder, *arguments):
    return run_snakemake(["-s", str(ROOT / "Snakefile"), "--directory", str(folder), "--cores", "1", *arguments])


def write_config(folder, change=()):
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    for path, value in change:
        node = config
        *parents, last = path.split(".")
        for name in parents:
            node = node[name]
        node[last] = value
    (folder / "config.yaml").write_text(yaml.safe_dump(config))


@pytest.fixture(scope="module")  # --forceall: a plain --touch leaves no record of what it finds up to date
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("finished")
    write_config(folder)
    finish(folder)
    return folder


def finish(folder):
    """Make every output of a run, as stand-ins that Snakemake knows as its own."""
    summary = snakemake(folder, "--summary")
    assert summary.returncode == 0, summary.stderr
    for line in summary.stdout.splitlines()[1:]:
        path = folder / line.split("\t")[0]
        if path.name != "-":
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(path.name)
    touched = snakemake(folder, "--touch", "--forceall")
    assert touched.returncode == 0, touched.stderr


def plan(folder, *targets):
    """{rule: jobs} of a dry run."""
    run = snakemake(folder, *targets, "-n", "--quiet", "host")
    assert run.returncode == 0, run.stderr + run.stdout
    table = re.search(r"job\s+count\n[-\s]+\n(.*?)\ntotal", run.stdout, re.S)
    return {name: int(count) for name, count in re.findall(r"(\w+)\s+(\d+)", table[1])} if table else {}


def test_a_fresh_run_plans_every_rule(tmp_path):
    write_config(tmp_path)
    rules = set(plan(tmp_path))
    assert {
        "virtual_recording",
        "audit_rig",
        "train_generator",
        "fit_splats",
        "render_objects",
        "render_scans",
    } | DOWN <= rules


def test_several_recordings_of_one_config_each_get_their_own_jobs(tmp_path):
    other = {"path": "virtual", "frames": [0, 24, 2]}
    config = yaml.safe_load((ROOT / "config.yaml").read_text())["recordings"]["mouse1"]
    write_config(tmp_path, [("recordings", {"mouse1": config, "litter-3": other})])
    jobs = plan(tmp_path)
    assert jobs["audit_rig"] == jobs["locate_animal"] == jobs["virtual_recording"] == jobs["quality_table"] == 2
    assert jobs["normalise_frames"] == 2 + 1 and jobs["split_frames"] == jobs["build_manifest"] == 1


def test_a_finished_run_has_nothing_to_do(finished):
    assert plan(finished) == {}


def test_the_sweep_trains_every_arm_with_every_seed_and_keeps_the_run_that_is_there(finished, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(finished, folder, copy_function=shutil.copy2)
    assert plan(folder, "sweep") == {
        "train_lrm": 8,
        "predict_arm": 8,
        "evaluate_arm": 8,
        "compare_sweep": 1,
        "decide_sweep": 1,
        "sweep": 1,
    }
    write_config(folder, [("sweep", ["80-20", "real-only"]), ("sweep_seeds", [0, 7])])
    commands = snakemake(folder, "results/evaluate/sweep_arms.csv", "-n", "-p").stdout
    runs = re.findall(r"lrm train --arm (\S+) --seed (\d+) .*\n?.*--out \$\(dirname (\S+)\)", commands)
    assert sorted(runs) == [
        ("80-20", "7", "results/train/80-20.seed7/model.safetensors"),
        ("real-only", "0", "results/train/real-only/model.safetensors"),
        ("real-only", "7", "results/train/real-only.seed7/model.safetensors"),
    ]


@pytest.mark.parametrize(
    "change, expected",
    [
        (("train.steps", 7), TRAINED),
        (("evaluate.sheet_rows", 3), JUDGED),
        (("report.title", "other"), {"build_report", "all"}),
        (
            ("splats.fit.optimise.steps", 7),
            {"fit_splats", "calibrate_trust", "render_novel", "render_ring"} | LIBRARY | LISTED,
        ),
        (("splats.novel.max_error", 0.5), {"render_novel", "render_ring"} | LIBRARY | LISTED),
        (("distill.generator.training.batch", 7), {"train_generator", "distill_views"} | LISTED),
        (("distill.views.dedupe.tolerance", 7.0), {"distill_views"} | LISTED),
        (("distill.gate.max_quarantine", 0.5), {"distill_views"} | LISTED),
        (("distill.gate.quantile", 0.5), {"learn_gate", "distill_views"} | LISTED),
        (("dataset.gate.mask_size", 64), DOWN),
        (("single.animals", 9), {"film_animals", "predict_single", "evaluate_single", "decide", "build_report", "all"}),
        (("single.frames", 9), {"predict_single", "evaluate_single", "decide", "build_report", "all"}),
        (("objects.supersampling", 2), {"render_objects", "render_scans"} | LISTED),
        (("objects.scans.views", 16), {"render_scans"} | LISTED),
        (("objects.download.retries", 7), set()),
        (("objects.scans.sequences", {"posed": {"path": "posed.npz", "frames": [0, 20]}}), {"render_scans"} | LISTED),
        (("mixture.scan_share", 0.5), TRAINED),
        (("loader.store", "shards"), {"pack_shards"} | TRAINED),
        (("jobs.gpus.train", 1), set()),
    ],
)
def test_a_change_reruns_what_reads_it_and_nothing_else(finished, tmp_path, change, expected):
    folder = tmp_path / "run"
    shutil.copytree(finished, folder, copy_function=shutil.copy2)
    write_config(folder, [change])
    assert set(plan(folder)) == expected


def test_a_recording_reruns_what_comes_from_it_and_no_object(finished, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(finished, folder, copy_function=shutil.copy2)
    write_config(folder, [("recordings.mouse1.exclude", [3])])
    changed = plan(folder)
    assert {"normalise_frames", "fit_splats"} <= set(changed) and "render_objects" not in changed


def test_a_configuration_of_ones_own_does_not_bring_the_virtual_mouse_along(tmp_path):
    mine = tmp_path / "mine.yaml"
    mine.write_text("recordings: {rat1: {path: /data/rat1, frames: [0, 12]}}")
    for here in (False, True):  # Snakemake reads a config.yaml of its folder last, and merges it first
        if here:
            shutil.copy(ROOT / "config.yaml", tmp_path / "config.yaml")
        for files in ([str(ROOT / "config.yaml"), str(mine)], *([[str(mine)]] if here else [])):
            jobs = plan(tmp_path, "--configfile", *files)
            assert "virtual_recording" not in jobs and jobs["audit_rig"] == 1, (here, files)


def test_masks_are_a_job_of_their_own_where_they_are_to_be_made(tmp_path):
    mine = tmp_path / "mine.yaml"
    mine.write_text("recordings: {rat1: {path: /data/rat1, frames: [0, 12]}}\ncapture: {mask_backend: median}")
    jobs = plan(tmp_path, "--configfile", str(ROOT / "config.yaml"), str(mine))
    assert jobs["make_masks"] == jobs["audit_rig"] == 1
    virtual = tmp_path / "virtual.yaml"
    virtual.write_text("capture: {mask_backend: median}")  # a virtual recording has masks
    assert "make_masks" not in plan(tmp_path, "--configfile", str(ROOT / "config.yaml"), str(virtual))


@pytest.mark.parametrize(
    "change, words",
    [
        (("train.stepz", 7), ("'train.stepz' is not known", "misspelt 'steps'")),
        (("splats.fit.optimise.step", 7), ("'splats.fit.optimise.step' is not known", "misspelt 'steps'")),
        (
            ("train.optimizer.learning_rate", "1e-4"),
            ("'train.optimizer.learning_rate'", "got '1e-4', expected number", "write 1.0e-4"),
        ),
        (("capture.mode", "exakt"), ("'capture.mode'", "expected exact, approximate")),
        (("recordings.mouse1.frames", 48), ("'recordings.mouse1.frames'", "got 48")),
        (("recordings", {}), ("'recordings'",)),
        (("arms", ["90:10"]), ("arm '90:10'", "such as 80-20")),
    ],
)
def test_a_wrong_config_is_refused_when_the_snakefile_loads(tmp_path, change, words):
    write_config(tmp_path, [change])
    run = snakemake(tmp_path, "-n")
    assert run.returncode == 2 and run.stderr.startswith("ConfigError: ") and len(run.stderr) < 1000, run.stderr
    for word in words:
        assert word in run.stderr


@pytest.fixture(scope="module")
def filmed(tmp_path_factory):
    """A finished run with a recording of the user's own beside the virtual one."""
    folder = tmp_path_factory.mktemp("filmed")
    for name in ("videos/0.mp4", "masks/0.mp4", "calibration.toml"):
        (folder / "mine" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "mine" / name).write_bytes(b"123")
    virtual = yaml.safe_load((ROOT / "config.yaml").read_text())["recordings"]["mouse1"]
    write_config(folder, [("recordings", {"mouse1": virtual, "mine": {"path": "mine", "frames": [0, 20]}})])
    finish(folder)
    assert plan(folder) == {}
    return folder


@pytest.mark.parametrize("name", ["videos/0.mp4", "masks/0.mp4", "calibration.toml"])
def test_a_replaced_file_of_the_users_recording_reruns_it_and_the_dry_run_says_which(filmed, tmp_path, name):
    folder = tmp_path / "run"
    shutil.copytree(filmed, folder, copy_function=shutil.copy2)
    path = folder / "mine" / name
    time = path.stat().st_mtime_ns
    path.write_bytes(b"1234")
    os.utime(path, ns=(time, time))  # as `cp -p` and rsync leave it: no newer than the results
    run = snakemake(folder, "-n")
    assert re.search(rf"{name}': '4 bytes", run.stdout), run.stdout[-3000:]
    jobs = plan(folder)
    assert jobs["audit_rig"] == jobs["locate_animal"] == 1 and jobs["normalise_frames"] == 1  # chunk
    assert "virtual_recording" not in jobs and "render_objects" not in jobs


def test_a_cluster_that_takes_gres_alone_gets_it_and_the_job_knows_its_devices(finished, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(finished, folder, copy_function=shutil.copy2)
    write_config(folder, [("jobs.gpus.splats", 2)])
    alone = ["--set-resources", "fit_splats:gres=gpu:2", "fit_splats:gpu=0"]
    shown = snakemake(folder, "-n", "-p", "-R", "fit_splats", "--until", "fit_splats", *alone).stdout
    assert "--gpus 2" in shown and "--gpus 0" not in shown and "gres=gpu:2" in shown and "gpu=2" not in shown


@pytest.mark.parametrize("value", ["results/train/80-20", "results/train/90-10.seed2"])
def test_a_config_path_that_a_job_writes_is_refused_before_its_file_is_removed(finished, tmp_path, value):
    folder = tmp_path / "run"
    shutil.copytree(finished, folder, copy_function=shutil.copy2)
    write_config(folder, [("train.init", value)])
    run = snakemake(folder, "--until", "train_lrm")
    assert run.returncode == 2 and run.stderr.startswith("ConfigError: config key 'train.init' names a result")
    assert (folder / "results/train/80-20/model.safetensors").exists()


def test_every_output_lies_in_a_folder_that_planning_guards(finished):
    from mousefacelift.planning import written_folders

    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    guarded = [Path(folder) for folder in written_folders(config, ["80-20"])]
    lines = snakemake(finished, "--summary").stdout.splitlines()[1:]
    outputs = [Path(line.split("\t")[0]) for line in lines]
    assert len(outputs) > 20
    assert [p for p in outputs if p.name != "-" and not any(p.is_relative_to(g) for g in guarded)] == []


def test_without_sbatch_a_user_is_told_what_is_missing_and_no_lock_stays(tmp_path, monkeypatch):
    write_config(tmp_path)
    programs = tmp_path / "bin"  # all that the system has, but for SLURM's
    programs.mkdir()
    for path in Path("/usr/bin").iterdir():
        if path.name != "sbatch":
            (programs / path.name).symlink_to(path)
    monkeypatch.setenv("PATH", str(programs))
    run = snakemake(tmp_path, "--profile", str(ROOT / "workflow/profiles/slurm"))
    assert run.returncode == 1 and "there is no sbatch here" in run.stderr and "login node" in run.stderr, run.stderr
    assert not list(tmp_path.glob(".snakemake/locks/*")) and not (tmp_path / "results").exists()
