"""`mousefacelift show SPLAT`: a splat as a picture, a turntable and a page to turn it in a browser.

    mousefacelift show results/splats/mouse1/fits/000000-000015/000003/splat.npz --out shown/

Reads .npz (this project's), .ply (FaceLift's or the original 3DGS layout) or .spz. Writes splat.png, turntable.mp4 and
splat.html (self-contained, WebGL 2, no network).
"""

from __future__ import annotations

import html
from pathlib import Path

from mousefacelift.errors import DataError

TEMPLATE = Path(__file__).parent / "templates" / "splat.html"
LARGEST = 200_000  # Gaussians in the page; more are thinned by opacity times area


def add_command(subparsers) -> None:
    parser = subparsers.add_parser(
        "show", help="a splat as a picture, turntable and page", description="a splat as a picture, turntable and page"
    )
    parser.add_argument("splat", type=Path, help=".npz, .ply or .spz")
    parser.add_argument("--out", type=Path, required=True, help="folder: splat.html, splat.png, turntable")
    parser.add_argument("--size", type=int, default=384, help="pixels of picture and turntable")
    parser.add_argument("--frames", type=int, default=72, help="frames of the turntable; 0 for none")
    parser.set_defaults(run=run)


def run(args) -> None:
    """Write splat.png, turntable.mp4 and splat.html."""
    from mousefacelift.core.files import write_text
    from mousefacelift.core.turntable import turntable

    gaussians = read_splat(args.splat)
    args.out.mkdir(parents=True, exist_ok=True)
    pictures = turntable(gaussians, max(args.frames, 1), args.size)
    _write_pictures(pictures, args.out, args.frames)
    write_text(args.out / "splat.html", page(gaussians, args.splat.name))
    print(
        f"{args.splat}: {gaussians.count} Gaussians -> {args.out}/splat.html, splat.png"
        + (", turntable.mp4" if args.frames else "")
    )


def read_splat(path: Path):
    """Gaussians of a file, by its ending."""
    from mousefacelift.core.gaussians import Gaussians
    from mousefacelift.core.splat_files import read_ply, read_spz

    readers = {".npz": Gaussians.read, ".ply": read_ply, ".spz": read_spz}
    if path.suffix not in readers:
        raise DataError(f"splat {path} has an unknown ending", got=path.suffix, expected=", ".join(readers))
    if not path.is_file():
        raise DataError(f"splat {path} does not exist")
    return readers[path.suffix](path)


def _write_pictures(pictures, out: Path, frames: int) -> None:
    from mousefacelift.core.images import write_png
    from mousefacelift.core.video import write_mp4

    first = next(pictures)
    write_png(out / "splat.png", first / 255.0)
    if frames:

        def whole():
            yield first
            yield from pictures

        write_mp4(out / "turntable.mp4", whole(), fps=24)


def page(gaussians, title: str) -> str:
    """HTML text of the viewer with the Gaussians inside."""
    from mousefacelift.core.files import json_text
    from mousefacelift.core.turntable import fitting_zoom
    from mousefacelift.report.pack import pack_splat

    parts = {
        "title": html.escape(title),
        "zoom": f"{fitting_zoom(gaussians):.4g}",
        "splat": json_text(pack_splat(gaussians, LARGEST)),
        "viewer": (TEMPLATE.parent / "viewer.js").read_text(),
    }
    text = TEMPLATE.read_text()
    for name, value in parts.items():
        text = text.replace("{{" + name + "}}", value)
    return text
