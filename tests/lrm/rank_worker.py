"""Started by test_launch.py in every process of a job: the `mousefacelift` command, which leaves a note of what its
rank did.

    python -m mousefacelift.lrm.launch --standalone --nproc-per-node 2 -m tests.lrm.rank_worker NOTES lrm train ...

NOTES/rank{R}.json: rows of every step and a digest of the weights after it. With DIE_AT in the environment rank 1 kills
itself after that step.
"""

import hashlib
import json
import os
import signal
import sys
from pathlib import Path

from mousefacelift.cli import main
from mousefacelift.lrm import train

rank, notes, real = int(os.environ["RANK"]), Path(sys.argv[1]), train.take_step
steps = {}


def take_step(run, batch):
    real(run, batch)
    digest = hashlib.sha256()
    for value in run.accelerator.unwrap_model(run.model).state_dict().values():
        digest.update(value.numpy().tobytes())
    steps[run.state.step] = {"rows": batch["row"].tolist(), "weights": digest.hexdigest()}
    (notes / f"rank{rank}.json").write_text(json.dumps(steps))
    if rank == 1 and run.state.step == int(os.environ.get("DIE_AT", 0)):
        os.kill(os.getpid(), signal.SIGKILL)


train.take_step = take_step
sys.argv[1:] = sys.argv[2:]
sys.exit(main())
