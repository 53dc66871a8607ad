"""Results that belong to somebody else: read from any folder, through a link, by a user who may write nowhere but in a
folder of his own; what would write into them says so."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.check.test_evaluate import write_predictions
from tests.lrm.toy import build_toy_dataset

ROOT = Path(__file__).resolve().parents[1]
# nobody, who may read what root may (the interpreter can lie in root's home) and writes only what anybody may
OTHER = "setpriv --reuid=65534 --regid=65534 --clear-groups".split()
OTHER += ["--inh-caps=-all,+dac_read_search", "--ambient-caps=-all,+dac_read_search"]


@pytest.fixture(scope="module")
def place():
    """A folder that every user may enter, with read-only `results` behind a link and `own`, which anybody may write."""
    if os.geteuid() == 0 and not shutil.which("setpriv"):
        pytest.skip("needs setpriv (util-linux) to run as another user than root")
    folder = Path(tempfile.mkdtemp(prefix="mousefacelift-read-only-"))
    disk = folder / "disk/of/somebody"
    build_toy_dataset(disk / "dataset", with_objects=False)
    (disk / "predictions").mkdir()
    write_predictions(disk / "predictions", disk / "dataset", lambda images: images)
    (folder / "results").symlink_to(disk)
    (folder / "own").mkdir()
    for path in [folder, *folder.rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    (folder / "own").chmod(0o777)
    yield folder
    for path in folder.rglob("*"):
        path.chmod(0o755)
    shutil.rmtree(folder)


def run_as_other(place, *arguments):
    """`python ARGUMENTS` by a user without a home, in a folder of his own."""
    env = {**os.environ, "HOME": "/nonexistent", "PYTHONPATH": str(ROOT), "TMPDIR": str(place / "own")}
    env = {name: value for name, value in env.items() if name not in ("XDG_CACHE_HOME", "NUMBA_CACHE_DIR")}
    command = [*(OTHER if os.geteuid() == 0 else []), sys.executable, *arguments]
    return subprocess.run(command, env=env, cwd=place / "own", capture_output=True, text=True, timeout=300)


def evaluate(place, out):
    config = '{"evaluate": {"bootstrap": 20, "consistency_frames": 1}}'
    words = ["--predictions", "../results/predictions/index.json", "--dataset", "../results/dataset", "--out", out]
    return run_as_other(place, "-m", "mousefacelift", "check", "evaluate", *words, "--config-json", config)


def test_kernels_of_a_read_only_installation_load_for_a_user_without_a_home(place):
    modules = "core.hull_kernels, core.render.cpu, capture.warp, objects.render, virtual.painter"
    code = "".join(f"import mousefacelift.{name.strip()}\n" for name in modules.split(","))
    done = run_as_other(place, "-c", code + "import os; print(os.environ.get('NUMBA_CACHE_DIR', ''))")
    assert done.returncode == 0, done.stderr
    if os.geteuid() == 0:  # else the checkout is one's own, and kernels are kept beside the source
        assert "mousefacelift-kernels-" in done.stdout
    assert not list((place / "own").glob("mousefacelift-kernels-*"))  # it is gone with its process


@pytest.mark.slow  # compiles the kernels
def test_linked_results_that_nobody_may_write_are_evaluated_from_another_folder(place):
    done = evaluate(place, "evaluation")
    assert done.returncode == 0, done.stderr
    assert (place / "own/evaluation/summary.json").stat().st_size > 1000


def test_commands_that_would_write_into_them_say_so(place):
    verify = run_as_other(place, "-m", "mousefacelift", "dataset", "verify", "../results/dataset")
    for done in (verify, evaluate(place, str(place / "results/evaluation"))):
        assert done.returncode == 2 and "cannot be written" in done.stderr and "Traceback" not in done.stderr
