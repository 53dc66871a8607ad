"""`mousefacelift lrm ...`: training, its plan, predictions for evaluation, import of published checkpoints."""

from __future__ import annotations

import sys
from pathlib import Path

from mousefacelift.arguments import (
    add_config_argument,
    config_mapping,
    lease_devices,
    read_config,
    read_seed,
    subcommand,
)


def add_commands(subparsers) -> None:
    parser = subcommand(subparsers, "train", "train one arm of the mixture (goes on where it was killed)")
    _add_run_arguments(parser)
    parser.add_argument("--gpus", type=int, default=0, help="GPUs per node to lease; 0 trains on the CPU")
    parser.set_defaults(run=_train)
    parser = subcommand(subparsers, "plan", "plot the curriculum of an arm and print what it will draw")
    _add_run_arguments(parser)
    parser.set_defaults(run=_plan)
    parser = subcommand(subparsers, "predict", "reconstruct real frames for the evaluation")
    parser.add_argument("--model", type=Path, required=True, help="folder of a trained or imported model")
    parser.add_argument("--dataset", type=Path, required=True, help="folder of a verified dataset")
    parser.add_argument("--out", type=Path, required=True, help="predictions folder; its index.json is written last")
    parser.add_argument("--gpus", type=int, default=0, help="devices to lease; 0 is the CPU")
    add_config_argument(parser)
    parser.set_defaults(run=_predict)
    parser = subcommand(subparsers, "import", "a published checkpoint (FaceLift, LGM) -> a model folder")
    parser.add_argument(
        "checkpoint", type=Path, help="FaceLift: ckpt_*.pt or .safetensors; LGM: model_fp16_fixrot.safetensors"
    )
    parser.add_argument("--out", type=Path, required=True, help="model folder to write")
    parser.add_argument("--head-dim", type=int, default=64, help="width of an attention head (published: 64)")
    parser.add_argument(
        "--licence", type=Path, default=None, help="licence text of the weights; default: LICENSE* beside them"
    )
    parser.add_argument(
        "--rotations", choices=("yes", "no"), help="LGM: whether the rotations are usable; default: as the name says"
    )
    parser.set_defaults(run=_import)


def _add_run_arguments(parser) -> None:
    parser.add_argument(
        "--arm", required=True, help="OBJECTS-MOUSE such as 80-20, or a control such as real-only; 80-20.lgm trains LGM"
    )
    parser.add_argument("--dataset", type=Path, required=True, help="folder of a verified dataset")
    parser.add_argument("--out", type=Path, required=True, help="folder of the run")
    parser.add_argument("--seed", type=int, default=None, help="of this run, in place of the configuration's")
    add_config_argument(parser)


def _request(args):
    from mousefacelift.dataset.config import LoaderConfig, MixtureConfig
    from mousefacelift.lrm.config import TrainConfig, train_config_of
    from mousefacelift.lrm.run import TrainRequest

    return TrainRequest(
        args.arm,
        args.dataset,
        args.out,
        train_config_of(args.arm, read_config(args, TrainConfig, "train")),
        read_config(args, MixtureConfig, "mixture"),
        read_config(args, LoaderConfig, "loader"),
        read_seed(args) if args.seed is None else args.seed,
    )


def _train(args) -> None:
    from mousefacelift.lrm.launch import is_worker, launch_job

    if not is_worker():
        lease_devices(args)
        if launch_job(config_mapping(args).get("train", {}).get("launch", {}), args.gpus, sys.argv[1:]):
            return
    from mousefacelift.lrm.train import train

    print(train(_request(args)))


def _plan(args) -> None:
    from mousefacelift.lrm.plots import plot_curriculum
    from mousefacelift.lrm.run import plan_sampler
    from mousefacelift.lrm.say import describe_plan

    request = _request(args)
    sampler = plan_sampler(request)
    plot_curriculum(args.out / "curriculum.png", sampler.shares, args.arm)
    print(describe_plan(sampler))
    print(args.out / "curriculum.png")


def _predict(args) -> None:
    device = lease_devices(args)
    from mousefacelift.lrm.config import PredictConfig
    from mousefacelift.lrm.predict import predict

    index = predict(args.model, args.dataset, args.out, read_config(args, PredictConfig, "predict"), device)
    print(f"{len(index['items'])} predictions in {args.out}")


def _import(args) -> None:
    from mousefacelift.lrm.importer import describe, import_checkpoint

    rotations = None if args.rotations is None else args.rotations == "yes"
    print(describe(import_checkpoint(args.checkpoint, args.out, args.head_dim, args.licence, rotations)))
    print(args.out)
