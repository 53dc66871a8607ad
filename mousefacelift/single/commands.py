"""`mousefacelift single ...`: test animals, and the predictions of protocol S."""

from __future__ import annotations

from pathlib import Path

from mousefacelift.arguments import add_config_argument, read_config, read_seed, subcommand

BEDS = ("frames", "animals", "mammal")


def add_commands(subparsers) -> None:
    parser = subcommand(subparsers, "animals", "film the test animals of a bed, with truth")
    parser.add_argument("--bed", required=True, choices=BEDS[1:], help="which test animals")
    parser.add_argument(
        "--out", type=Path, required=True, metavar="INDEX.json", help="index.json of the folder of animals"
    )
    add_config_argument(parser)
    parser.set_defaults(run=_animals)
    parser = subcommand(subparsers, "predict", "one picture in: Gaussians of the model and of its rungs")
    parser.add_argument("--bed", required=True, choices=BEDS, help="which test animals")
    parser.add_argument("--model", type=Path, required=True, help="folder of a trained reconstructor")
    parser.add_argument("--generator", type=Path, required=True, help="what `distill train` wrote")
    parser.add_argument("--library", type=Path, required=True, help="what `distill library` wrote")
    parser.add_argument("--dataset", type=Path, default=None, help="verified dataset, for the bed `frames`")
    parser.add_argument("--animals", type=Path, default=None, help="index.json of `single animals`, for the other beds")
    parser.add_argument(
        "--out", type=Path, required=True, metavar="INDEX.json", help="index.json of the folder of predictions"
    )
    parser.add_argument("--threads", type=int, default=2, help="CPU threads")
    add_config_argument(parser)
    parser.set_defaults(run=_predict)


def _animals(args) -> None:
    from mousefacelift.single.animals import film_animals
    from mousefacelift.single.config import SingleConfig

    index = film_animals(args.bed, args.out, read_config(args, SingleConfig, "single"), read_seed(args))
    print(f"{len(index['items'])} animals in {args.out.parent}")


def _predict(args) -> None:
    import torch

    from mousefacelift.dataset.manifest import Manifest
    from mousefacelift.distill.config import DistillConfig
    from mousefacelift.errors import ConfigError
    from mousefacelift.single.config import SingleConfig
    from mousefacelift.single.load import load_methods
    from mousefacelift.single.plan import animal_questions, frame_questions
    from mousefacelift.single.predict import predict_single

    if (args.bed == "frames") != (args.dataset is not None) or (args.bed == "frames") == (args.animals is not None):
        raise ConfigError("the bed `frames` takes --dataset, every other bed --animals", got=f"bed {args.bed}")
    torch.set_num_threads(args.threads)
    config = read_config(args, SingleConfig, "single")
    methods = load_methods(args.model, args.generator, args.library, read_config(args, DistillConfig, "distill"))
    if args.bed == "frames":
        questions = frame_questions(Manifest.open_verified(args.dataset), config)
    else:
        questions = animal_questions(args.animals, config)
    index = predict_single(questions, args.bed, methods, args.out, config, read_seed(args))
    print(f"{len(index['items'])} pictures in {args.out.parent}")
