"""The `mousefacelift` command: one group per stage, one sub-command per rule of the pipeline.

A group's module is imported only when that group is asked for, so that `mousefacelift --help` and light commands
start fast. Exit codes: 0 done, 2 configuration or data (a disk that is full or may not be written to, too), 3 a gate
refused, 1 a bug (with its traceback).
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from contextlib import nullcontext

from mousefacelift import __version__
from mousefacelift.collector import spare_imports
from mousefacelift.errors import DataError, MouseFaceLiftError, is_refused_write, unwritable
from mousefacelift.locks import one_writer

GROUPS = {
    "virtual": ("mousefacelift.virtual.commands", "virtual recordings: a procedural mouse with known truth"),
    "capture": ("mousefacelift.capture.commands", "recording -> audited rig, canonical samples, quality table"),
    "distill": ("mousefacelift.distill.commands", "multi-view generator: training, 6x6 views, dedupe, gate"),
    "splats": ("mousefacelift.splats.commands", "per-frame Gaussian splats, in-between views, rings"),
    "objects": ("mousefacelift.objects.commands", "objects and scans -> samples"),
    "dataset": ("mousefacelift.dataset.commands", "splits, manifest, verification, exports"),
    "lrm": ("mousefacelift.lrm.commands", "GS-LRM: training, prediction, checkpoint import"),
    "single": ("mousefacelift.single.commands", "protocol S: test animals, and predictions from one picture"),
    "check": ("mousefacelift.check.commands", "evaluation: fidelity, consistency, collapse"),
    "prior": ("mousefacelift.prior.commands", "the single-picture prior: training pictures and training"),
    "experiment": ("mousefacelift.experiment.commands", "constraint x cameras x data on virtual animals, with truth"),
    "embed": ("mousefacelift.embed.commands", "every frame as a heading-free vector: table, NetCDF, NWB"),
    "report": ("mousefacelift.report.commands", "the HTML report"),
}
SINGLE = {
    "reconstruct": ("mousefacelift.reconstruct.command", "one picture -> Gaussians, turntable"),
    "show": ("mousefacelift.report.show", "a splat as a picture, turntable or page"),
    "status": ("mousefacelift.status", "how far a run is: jobs, items, rates, time left, retries"),
    "doctor": ("mousefacelift.doctor", "what this machine has, and what is missing"),
    "schema": ("mousefacelift.schema", "the JSON schema of config.yaml, made from the dataclasses"),
}


def build_parser(name: str | None) -> argparse.ArgumentParser:
    """Parser in which only the group or command `name` is filled in."""
    parser = argparse.ArgumentParser(prog="mousefacelift", description="A 3D mouse from a single picture.")
    parser.add_argument("--version", action="version", version=f"mousefacelift {__version__}")
    groups = parser.add_subparsers(metavar="GROUP", required=True)
    for group, (module, text) in GROUPS.items():
        sub = groups.add_parser(group, help=text, description=text)
        if group == name:
            commands = sub.add_subparsers(metavar="COMMAND", required=True)
            importlib.import_module(module).add_commands(commands)
    for command, (module, text) in SINGLE.items():
        if command == name:
            importlib.import_module(module).add_command(groups)
        else:
            groups.add_parser(command, help=text)
    return parser


def _writing(args: argparse.Namespace):
    """Sole right to write the command's --out; processes that torchrun started work under their launcher's."""
    if getattr(args, "out", None) is None or "LOCAL_RANK" in os.environ:
        return nullcontext()
    return one_writer(args.out)


def main(argv: list[str] | None = None) -> int:
    """Run one command and return its exit code."""
    spare_imports()
    # of numpy and scipy, before they are imported: its threads wait by spinning. The audit's small matrices took three
    # times the CPU time and twice the time on two of them, which Snakemake asks for where a rule has two.
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    # of torch's OpenMP (libgomp), before it is loaded: its threads spin for milliseconds after each operation, on the
    # core that the renderer's own threads want next. A training step on two takes 4% less time when they sleep sooner.
    os.environ.setdefault("GOMP_SPINCOUNT", "20000")
    argv = sys.argv[1:] if argv is None else argv
    name = next((word for word in argv if not word.startswith("-")), None)
    args = build_parser(name).parse_args(argv)
    try:
        with _writing(args):
            args.run(args)
    except MouseFaceLiftError as error:
        kind = next(cls for cls in type(error).__mro__ if cls.__module__ == MouseFaceLiftError.__module__)
        print(f"{kind.__name__}: {error}", file=sys.stderr)
        return error.exit_code
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except Exception as error:
        refusal = _refusal(error, args)
        if refusal is None:
            raise
        print(f"DataError: {refusal}", file=sys.stderr)
        return refusal.exit_code
    return 0


def _refusal(error: Exception, args: argparse.Namespace) -> MouseFaceLiftError | None:
    """What a user is told of a file that the system does not let be read or written; None for any other error."""
    if not is_refused_write(error):
        return None
    place = getattr(error, "filename", None) or f"of {getattr(args, 'out', None) or 'this command'}"
    if isinstance(error, PermissionError):
        return DataError(f"file {place} may not be opened", got=str(error), likely="a file of another user")
    return unwritable("file", place, error)
