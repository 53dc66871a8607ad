"""`mousefacelift experiment ...`: animals, objects, starts, cells, and the tables and figures made of them."""

from __future__ import annotations

from pathlib import Path

from mousefacelift.arguments import subcommand


def add_commands(subparsers) -> None:
    parser = _parser(subparsers, "animal", "film one virtual animal with everything that cells take from it", _animal)
    parser.add_argument("--animal", type=int, required=True, help="its number, from 0")
    _parser(subparsers, "objects", "render the objects", _objects)
    parser = _parser(subparsers, "start", "pretrain a constraint's network on the objects", _start)
    parser.add_argument("--constraint", required=True, help="a name of the experiment's `constraints`")
    parser.add_argument("--objects", type=Path, required=True, help="what `experiment objects` wrote")
    parser = _parser(subparsers, "cells", "run the cells of some animals, in the order of the file", _cells)
    parser.add_argument("--animals", required=True, help="numbers, with commas between them")
    parser.add_argument("--bed", type=Path, required=True, help="folder of animals and objects")
    parser.add_argument("--starts", type=Path, required=True, help="folder of the objects-pretrained starts")
    parser.add_argument("--cells", type=Path, required=True, help="folder of the finished cells")
    parser = _parser(subparsers, "tables", "tables and figures of finished cells", _tables)
    parser.add_argument("--bed", type=Path, required=True, help="folder of animals and objects")
    parser.add_argument("--cells", type=Path, required=True, help="folder of the finished cells")
    parser = _parser(subparsers, "ingredients", "train on one collection of procedural objects and judge", _ingredients)
    parser.add_argument("--collection", required=True, help="a name of the experiment's `collections`")
    parser.add_argument("--seed", type=int, required=True, help="of the network and its draws")
    parser.add_argument("--assets", type=Path, required=True, help="folder of meshes that people made")
    parser = subcommand(subparsers, "ingredients-table", "which procedural objects earn their place")
    parser.add_argument("cells", type=Path, nargs="+", help="results of `experiment ingredients`")
    parser.add_argument("--out", type=Path, required=True, help="table to write")
    parser.set_defaults(run=_ingredients_table)


def _parser(subparsers, name: str, text: str, run):
    parser = subcommand(subparsers, name, text)
    parser.add_argument(
        "--experiment",
        type=Path,
        required=True,
        metavar="FILE.yaml",
        help="the experiment, one of workflow/experiments",
    )
    parser.add_argument("--out", type=Path, required=True, help="file to write")
    parser.set_defaults(run=run)
    return parser


def _animal(args) -> None:
    from mousefacelift.experiment.bed import write_bed
    from mousefacelift.experiment.config import read_experiment
    from mousefacelift.experiment.film import film_animal

    _one_thread()
    write_bed(args.out, film_animal(args.animal, read_experiment(args.experiment).bed))


def _objects(args) -> None:
    from mousefacelift.experiment.bed import write_views
    from mousefacelift.experiment.config import read_experiment
    from mousefacelift.experiment.film import render_objects

    write_views(args.out, render_objects(read_experiment(args.experiment).bed))


def _start(args) -> None:
    from mousefacelift.experiment.bed import read_views
    from mousefacelift.experiment.cell import train_start
    from mousefacelift.experiment.config import read_experiment

    _one_thread()
    config = read_experiment(args.experiment)
    train_start(args.constraint, read_views(args.objects), config, args.out.parent)


def _cells(args) -> None:
    from mousefacelift.core.files import json_text, write_text
    from mousefacelift.experiment.cell import gather_upstream, run_cells
    from mousefacelift.experiment.config import plan_cells, read_experiment

    _one_thread()
    config = read_experiment(args.experiment)
    animals = [int(number) for number in args.animals.split(",")]
    cells = [cell for cell in plan_cells(config) if cell.animal in animals]
    upstream = gather_upstream(args.bed, args.starts, animals, {cell.constraint for cell in cells})
    facts = run_cells(cells, upstream, config, args.cells)
    write_text(args.out, json_text([{"name": f["name"], "key": f["key"]} for f in facts], indent=1))


def _tables(args) -> None:
    from mousefacelift.experiment.bed import read_bed
    from mousefacelift.experiment.config import plan_cells, read_experiment
    from mousefacelift.experiment.figures import plot_collapse, plot_levels
    from mousefacelift.experiment.tables import write_tables

    config = read_experiment(args.experiment)
    beds = {number: read_bed(args.bed / f"animal{number}.npz") for number in range(config.bed.animals)}
    tables = write_tables(plan_cells(config), args.cells, beds, args.out.parent)
    plot_levels(tables["levels"], args.out.parent / "levels.svg")
    plot_collapse(tables["curves"], args.out.parent / "collapse.svg")


def _ingredients(args) -> None:
    from mousefacelift.experiment.config import read_ingredients
    from mousefacelift.experiment.ingredients import run_ingredients, write_cell

    _one_thread()
    config = read_ingredients(args.experiment)
    write_cell(args.out, run_ingredients(args.collection, args.seed, args.assets, config))


def _ingredients_table(args) -> None:
    from mousefacelift.experiment.ingredients import write_ingredients

    print(write_ingredients(args.cells, args.out).to_string(index=False))


def _one_thread() -> None:
    """The networks are small: a second thread costs more than it brings, and one core is one cell."""
    import torch

    torch.set_num_threads(1)
