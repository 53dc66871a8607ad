"""`mousefacelift reconstruct`: one picture, or several posed views, to a splat.

    mousefacelift reconstruct mouse.png --out DIR            picture -> the single-picture model
    mousefacelift reconstruct --views SAMPLE_DIR --out DIR   real views with cameras (a FaceLift sample folder)

Writes per picture DIR/{name}/: gaussians.ply (and .spz), turntable.mp4, sheet.png, views/ (what the reconstructor was
shown), reconstruction.json. Several pictures share one load of the models.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mousefacelift.arguments import add_config_argument, lease_devices, read_config
from mousefacelift.core.splat_files import PLY_LAYOUTS
from mousefacelift.errors import ConfigError

if TYPE_CHECKING:
    import numpy as np

    from mousefacelift.core.records import SampleFacts
    from mousefacelift.core.samples import Sample, View
    from mousefacelift.distill.nearest.library import Library
    from mousefacelift.reconstruct.write import WriteOptions

GENERATOR = Path("results/distill/generator")
LIBRARY = Path("results/distill/library")
ASSUMED_ELEVATION = 15.0  # degrees, of a picture that nobody says it of, where the generator cannot estimate it
SHEET = 256  # pixels of a picture in the sheet of a generator's own body


def add_command(subparsers) -> None:
    """Add `reconstruct` to the top-level parser."""
    parser = subparsers.add_parser(
        "reconstruct",
        help="one picture -> Gaussians, turntable",
        description="One picture, or several posed views, to a splat.",
    )
    parser.add_argument(
        "images", type=Path, nargs="*", metavar="IMAGE", help="RGBA picture, or RGB with --mask or --matting"
    )
    parser.add_argument(
        "--views",
        type=Path,
        nargs="+",
        default=[],
        metavar="DIR",
        help="sample folders with opencv_cameras.json; the generator is skipped",
    )
    parser.add_argument(
        "--use-views", type=_numbers, default=None, metavar="I,J,..", help="only these views of each folder"
    )
    parser.add_argument("--out", type=Path, required=True, help="folder to write")
    parser.add_argument(
        "--model", type=Path, default=Path("results/train/80-20"), help="reconstructor (default: %(default)s)"
    )
    parser.add_argument(
        "--generator",
        type=Path,
        default=None,
        help=f"folder of what answers the picture (default: {GENERATOR} if it is there, else the shipped prior)",
    )
    parser.add_argument(
        "--library",
        type=Path,
        default=None,
        help="library of filmed poses: was this one ever seen? (default: results/distill/library, if any)",
    )
    parser.add_argument("--mask", type=Path, nargs="+", default=[], help="one mask per picture, white on the animal")
    parser.add_argument(
        "--matting", choices=("none", "auto"), default="none", help="auto: U2-Net cuts out RGB pictures"
    )
    parser.add_argument(
        "--white", type=float, default=None, help="value of white in pictures of more than 8 bits, for instance 4095"
    )
    parser.add_argument(
        "--elevation",
        type=float,
        default=None,
        help="degrees the picture was taken from above the horizon (default: estimated, or 15 where it cannot be)",
    )
    parser.add_argument(
        "--filter",
        choices=("body", "cli", "gradio", "train_eval", "none"),
        default="body",
        help="which Gaussians are kept (default: those inside [-1,1]^3 that are not transparent)",
    )
    parser.add_argument("--layout", choices=PLY_LAYOUTS, default="inria", help="PLY layout")
    parser.add_argument("--spz", action="store_true", help="also write gaussians.spz")
    parser.add_argument("--frames", type=int, default=90, help="turntable frames; 0 writes none")
    parser.add_argument("--size", type=int, default=256, help="turntable pixels")
    parser.add_argument("--seed", type=int, default=0, help="of the render-and-compare's draws")
    parser.add_argument("--gpus", type=int, default=0, help="devices to lease; 0 is the CPU")
    add_config_argument(parser)
    parser.set_defaults(run=_run)


def _numbers(text: str) -> list[int]:
    return [int(part) for part in text.split(",")]


def _run(args: argparse.Namespace) -> None:
    _check(args)
    device = lease_devices(args)
    from tqdm import tqdm

    from mousefacelift.distill.generators.protocol import has_solid
    from mousefacelift.lrm.weights import read_model
    from mousefacelift.reconstruct.write import WriteOptions, reconstruct_views

    options = WriteOptions(args.filter, args.layout, args.spz, args.frames, args.size)
    generator = None if args.views else _generator(args)
    if generator is not None and has_solid(generator):
        jobs = _solids_of_pictures(args, generator, options)
    else:
        model, sizes = read_model(args.model, device)
        size = sizes.image_size
        inputs = _samples_of_folders(args) if args.views else _samples_of_pictures(args, generator, size)
        jobs = (reconstruct_views(model.eval(), size, sample, args.out / name, options) for name, sample in inputs)
    total = len(args.views) or len(args.images)
    for folder in tqdm(jobs, total=total, desc="reconstruct", unit="scene", file=sys.stderr):
        tqdm.write(f"{folder}/gaussians.ply")


def _check(args: argparse.Namespace) -> None:
    if bool(args.images) == bool(args.views):
        raise ConfigError(
            "reconstruct takes pictures or --views",
            got=f"{len(args.images)} pictures, {len(args.views)} folders",
            expected="one of the two",
        )
    if args.mask and len(args.mask) != len(args.images):
        raise ConfigError(
            "there must be one mask per picture", got=f"{len(args.mask)} masks for {len(args.images)} pictures"
        )
    names = [path.stem if args.images else path.name for path in (args.images or args.views)]
    if len(set(names)) < len(names):
        raise ConfigError(
            "two inputs would be written to one folder",
            got=", ".join(sorted(names)),
            hint="run them with different --out",
        )


def _samples_of_folders(args: argparse.Namespace) -> Iterator[tuple[str, Sample]]:
    from mousefacelift.core.cameras import CANONICAL_DISTANCE
    from mousefacelift.core.samples import read_sample
    from mousefacelift.reconstruct.views import canonical_views

    for folder in args.views:
        sample, scale = canonical_views(read_sample(folder, args.use_views), str(folder))
        if scale != 1.0:
            print(
                f"{folder}: cameras {CANONICAL_DISTANCE / scale:.4g} from the animal; the world, and so the splat, is "
                f"scaled by {scale:.4g} to the {CANONICAL_DISTANCE} that the model knows",
                file=sys.stderr,
            )
        yield folder.resolve().name, sample


def _generator(args: argparse.Namespace):
    from mousefacelift.distill.config import DistillConfig
    from mousefacelift.distill.load_generator import load_generator
    from mousefacelift.distill.view_sets import wanted_views

    config = read_config(args, DistillConfig, "distill")
    wanted = wanted_views(config.views.view_set, config.views.azimuths, config.views.elevation)
    if args.generator is None and (GENERATOR / "generator.json").is_file():
        args.generator = GENERATOR
    if args.generator is None:
        from mousefacelift.distill.generators.prior import PriorGenerator

        return PriorGenerator.shipped(wanted, config.generator.prior.view_steps)
    return load_generator(args.generator, config.generator, wanted, config.nearest)


def _pictures(args: argparse.Namespace, generator) -> Iterator[tuple[Path, View, SampleFacts]]:
    """Every picture: its file, framed as the generator knows animals, and what is to be written down about it."""
    from mousefacelift.core.records import SampleFacts
    from mousefacelift.distill.generators.prior import SHIPPED_AREA
    from mousefacelift.distill.load_generator import known_area
    from mousefacelift.reconstruct.pictures import CUT, border_share, frame_picture, read_picture

    area = known_area(args.generator) if args.generator else SHIPPED_AREA
    elevation = ASSUMED_ELEVATION if args.elevation is None else args.elevation
    matting = _matting(args) if args.matting == "auto" else None
    masks, poses = args.mask or [None] * len(args.images), _known_poses(args.library)
    for number, (path, mask) in enumerate(zip(args.images, masks, strict=True)):
        rgba = read_picture(path, mask, matting, args.white)
        cut = border_share(rgba)
        if cut > CUT:
            print(f"warning: {path.name}: the border cuts the animal; what lies beyond is missing", file=sys.stderr)
        facts = SampleFacts(
            generator=generator.name,
            weight_files=generator.weights,
            licence=generator.licence,
            seed=args.seed + number,
            details={"picture": path.name, "border_share": round(cut, 3)} | _nearest_filmed(poses, rgba, path),
        )
        yield path, frame_picture(rgba, 512, elevation, path.name, area), facts


def _samples_of_pictures(args: argparse.Namespace, generator, size: int) -> Iterator[tuple[str, Sample]]:
    """Pictures -> generated views. The command composes the two stages; the library modules do not know each other."""
    from mousefacelift.core.samples import Sample
    from mousefacelift.reconstruct.pictures import reframe

    for path, view, facts in _pictures(args, generator):
        painted = generator.generate([view], [facts.seed])[0]
        shown = [reframe(view, size), *(reframe(other, size) for other in painted)]
        yield path.stem, Sample(_without_duplicates(shown), facts)


def _solids_of_pictures(args: argparse.Namespace, generator, options: WriteOptions) -> Iterator[Path]:
    """Pictures -> bodies of a generator that has them, written; each yields its folder."""
    from mousefacelift.core.cameras import azimuth_elevation
    from mousefacelift.core.samples import Sample, View
    from mousefacelift.reconstruct.write import write_reconstruction

    for path, view, facts in _pictures(args, generator):
        started = time.perf_counter()
        solid = generator.solid(view, False, args.elevation)
        seconds = round(time.perf_counter() - started, 3)
        shown = View(view.rgba, solid.camera, view.facts)
        found = {"seconds": seconds, "elevation": round(azimuth_elevation(solid.camera)[1], 1), **solid.facts}
        _say(path, found)
        folder = args.out / path.stem
        yield write_reconstruction(folder, solid.gaussians, Sample((shown,), facts), SHEET, options, found)


def _say(path: Path, found: dict) -> None:
    """Print what a generator says about its answer."""
    words = [f"{name} {found[name]}" for name in ("elevation", "residual", "pose_distance") if name in found]
    print(f"{path.name}: {', '.join(words)}", file=sys.stderr)
    if found.get("warning"):
        print(f"warning: {path.name}: {found['warning']}", file=sys.stderr)


def _known_poses(folder: Path | None) -> Library | None:
    """The library of filmed poses: the given one, or that of the results here, if there is one."""
    from mousefacelift.distill.nearest.library import FILES, Library

    if folder is None and not (LIBRARY / FILES[1]).is_file():
        return None
    return Library.read(folder or LIBRARY)


def _nearest_filmed(poses: Library | None, rgba: np.ndarray, path: Path) -> dict:
    """How far a picture is from anything filmed, for its facts; a warning where it is farther than usual."""
    if poses is None:
        return {}
    found = poses.find(rgba, 1)[0]
    usual, pose = poses.how_usual(found.distance), poses.poses[found.pose]
    if usual >= 1.0:
        print(
            f"{path}: this pose is unlike anything filmed; nearest is frame {pose.frame} of {pose.recording}, farther"
            " away than filmed poses are from one another. Look at the result with care",
            file=sys.stderr,
        )
    return {"nearest_filmed": {"recording": pose.recording, "frame": pose.frame, "usual": round(usual, 3)}}


def _without_duplicates(views: Sequence) -> tuple:
    """The picture itself and the painted views at other angles (a generator may repaint its input's own angle)."""
    from mousefacelift.core.cameras import angle_between

    return (views[0], *(view for view in views[1:] if angle_between(view.camera, views[0].camera) > 5.0))


def _matting(args: argparse.Namespace):
    """Soft masks by U2-Net (`capture.unet_weights`): on the whole picture, then on the crop around what it found."""
    import numpy as np

    from mousefacelift.capture.config import CaptureConfig
    from mousefacelift.capture.make_masks import load_network, refine_mask

    net = load_network(read_config(args, CaptureConfig, "capture").unet_weights)

    def cut_out(rgb: np.ndarray) -> np.ndarray:
        whole = refine_mask(rgb, np.ones(rgb.shape[:2], np.uint8), net)
        return (refine_mask(rgb, whole, net) if whole.any() else whole).astype(np.float32)

    return cut_out
