"""Started by test_resume.py: trains in forked children that die in every bad moment, and goes on after each.

    python -m tests.lrm.kill_worker DATASET OUT

OUT/whole is one uninterrupted run, OUT/killed the run of the children. Prints the exit status of every child as JSON.
The forks start from a process that has computed nothing yet, so that no thread pool is lost in them.
"""

import io
import json
import os
import resource
import signal
import sys
import time
from pathlib import Path

import matplotlib.pyplot  # noqa: F401 - what a training imports on its way, imported once for all forks
import torch
import torch._dynamo

from mousefacelift.dataset.config import LoaderConfig
from mousefacelift.errors import DataError
from mousefacelift.lrm import runlog, state, train
from mousefacelift.lrm.config import OptimizerConfig, TrainConfig
from mousefacelift.lrm.run import TrainRequest

STEPS = 12
DISK_FULL = 5  # exit code of a child that was told about it by a DataError


def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)


def half_a_checkpoint():
    real = torch.save

    def save(tensors, path):
        data = io.BytesIO()
        real(tensors, data)
        Path(path).write_bytes(data.getvalue()[: data.tell() // 2])
        die()

    torch.save = save


def before_the_rename():
    state.replace_folder = die


def after_the_rename():
    real = state.replace_folder
    state.replace_folder = lambda new, target: (real(new, target), die())


def while_deleting_old_checkpoints():
    real = state.shutil.rmtree

    def remove(path, **options):
        real(path, **options)
        if Path(path).name.startswith("step_"):
            die()

    state.shutil.rmtree = remove


def in_the_middle_of_a_table_row():
    real, rows = runlog.RunTable.add, []

    def add(table, row):
        if len(rows) == 1:
            with open(table.path, "a") as stream:
                stream.write("1")  # the step would be 1x
            die()
        rows.append(row)
        real(table, row)

    runlog.RunTable.add = add


def between_backward_and_update():
    real, steps = torch.nn.utils.get_total_norm, []

    def clip(*args):
        steps.append(1)
        return die() if len(steps) == 2 else real(*args)

    torch.nn.utils.get_total_norm = clip


def on_a_full_disk():
    resource.setrlimit(
        resource.RLIMIT_FSIZE, (300_000, 300_000)
    )  # less than a checkpoint, more than a table or picture


MOMENTS = (
    half_a_checkpoint,
    before_the_rename,
    after_the_rename,
    while_deleting_old_checkpoints,
    in_the_middle_of_a_table_row,
    between_backward_and_update,
    on_a_full_disk,
)


def child(request, prepare=None, kill_after_s=None):
    """Exit status of one forked training (negative: the signal that ended it)."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            torch.set_num_threads(1)
            if prepare:
                prepare()
            train.train(request)
            code = 0
        except DataError as error:
            print(error, file=sys.stderr)
            code = DISK_FULL
        finally:
            os._exit(code)
    if kill_after_s is not None:
        time.sleep(kill_after_s)
        os.kill(pid, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def main(dataset, out):
    config = TrainConfig(
        preset="tiny",
        steps=STEPS,
        validate_every=4,
        validation_frames=2,
        save_every=1,
        log_every=1,
        trackers=(),
        optimizer=OptimizerConfig(accumulate=2),
    )

    def request(name):
        return TrainRequest("no-synthetic", Path(dataset), Path(out) / name, config, loader=LoaderConfig(image_size=32))

    found = {"whole": child(request("whole"))}
    for moment in MOMENTS:
        found[moment.__name__] = child(request("killed"), moment)
    for delay in (0.3, 0.8, 1.3):
        found[f"after {delay} s"] = child(request("killed"), kill_after_s=delay)
    found["last"] = child(request("killed"))
    print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
