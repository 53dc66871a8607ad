"""A collection's audit before rendering is paid for: features, licences, what will be refused and why, hours and disk.

Part of the objects stage, command `objects survey FOLDER_OR_LIST`. Headers only: no geometry and no texture is decoded.
Prints the shares; with --out also writes survey.json and survey.png.
"""

from collections import Counter
from pathlib import Path

from mousefacelift.core.files import json_text, write_text
from mousefacelift.errors import DataError
from mousefacelift.objects.config import ObjectsConfig
from mousefacelift.objects.download import local_path
from mousefacelift.objects.formats.document import Document, open_document
from mousefacelift.objects.formats.features import used_materials
from mousefacelift.objects.formats.materials import SPECGLOSS, UNLIT
from mousefacelift.objects.inspect import count_faces, inspect_asset
from mousefacelift.objects.select import read_folder, read_licenses, read_list

# Measured cost at 32 views of 512 px, 3 x 3 samples (docs/objects.md, "Cost"): core seconds per object by its faces.
CORE_SECONDS = ((20_000, 2.0), (500_000, 2.5), (10**9, 7.0))
MB_PER_VIEW = 0.125


def survey_objects(source: str, config: ObjectsConfig) -> dict:
    """The audit of a folder of meshes or of a list whose files are in `objects.download.folder`.

    Returns:
        {"assets", "missing", "faces", "mb", "features", "licences", "refused": {reason: count}, "rows", "core_hours",
        "disk_gb", "views", "size"}; shares are counts out of the assets that could be opened ("opened").
    Raises:
        DataError: nothing there.
    """
    items = read_folder(Path(source)) if Path(source).is_dir() else read_list(source)
    licences = read_licenses(config.annotations) if config.annotations else {}
    rows = []
    for item in items:
        path = Path(item["path"]) if "path" in item else local_path(item, config.download)
        if path.is_file():
            rows.append(
                {"uid": item["uid"], "licence": licences.get(item["uid"], "unknown"), **survey_asset(path, config)}
            )
    if not rows:
        raise DataError("none of the collection's files is on this machine", where=source, got=f"{len(items)} listed")
    kept = [row for row in rows if row["refused"] is None]
    views, scale = config.views.ring + config.views.random, (config.size / 512) ** 2
    seconds = sum(next(cost for faces, cost in CORE_SECONDS if row["faces"] <= faces) for row in kept)
    return {
        "assets": len(rows),
        "missing": len(items) - len(rows),
        "opened": sum(row["opened"] for row in rows),
        "faces": sorted(row["faces"] for row in rows)[len(rows) // 2],
        "mb": sum(row["mb"] for row in rows),
        "features": dict(Counter(name for row in rows for name in row["features"]).most_common()),
        "licences": dict(Counter(row["licence"] for row in rows).most_common()),
        "refused": dict(Counter(row["refused"] for row in rows if row["refused"]).most_common()),
        "views": views,
        "size": config.size,
        "core_hours": seconds * views / 32 * scale / 3600,
        "disk_gb": len(kept) * views * MB_PER_VIEW * scale / 1000,
        "rows": rows,
    }


def survey_asset(path: Path, config: ObjectsConfig) -> dict:
    """Size, faces, features and the refusal (or None) of one file, from its headers."""
    row = {"mb": path.stat().st_size / 1e6, "faces": 0, "features": [], "refused": None, "opened": True}
    try:
        if path.suffix.lower() in (".glb", ".gltf"):
            document = open_document(path)
            row["features"] = list_features(document)
            row["faces"] = count_faces(document)
        else:
            row["features"] = [path.suffix.lower()[1:]]
        inspect_asset(path, config.limits)
    except DataError as error:
        row["refused"] = error.what + (f": {error.got}" if error.what.endswith("not read") else "")
    except (KeyError, IndexError, TypeError, AttributeError, ValueError):
        row |= {"refused": "the glTF document contradicts itself", "opened": False}
    return row


def list_features(document: Document) -> list[str]:
    """Names of what a glTF document uses, in the words of docs/objects.md."""
    tree, materials = document.tree, [row for _, row in used_materials(document)]
    primitives = [p for mesh in document.rows("meshes") for p in mesh["primitives"]]
    extensions = {name for row in materials for name in row.get("extensions", {})}
    uris = [row["uri"] for row in document.rows("images") + document.rows("buffers") if "uri" in row]
    modes = {row.get("alphaMode", "OPAQUE") for row in materials}
    sparse = any("sparse" in row for row in document.rows("accessors"))
    integers = any(row.get("normalized") for row in document.rows("accessors"))
    found = {
        "single-sided": any(not row.get("doubleSided") for row in materials),
        "specular-glossiness": SPECGLOSS in extensions,
        "unlit": UNLIT in extensions,
        "skin": bool(tree.get("skins")),
        "animation": bool(tree.get("animations")),
        "morph targets": any("targets" in p for p in primitives),
        "vertex colours": any("COLOR_0" in p["attributes"] for p in primitives),
        "no texture": not tree.get("textures"),
        "no material": any("material" not in p for p in primitives),
        "second coordinates": any("TEXCOORD_1" in p["attributes"] for p in primitives),
        "cut-out": "MASK" in modes,
        "translucent": "BLEND" in modes,
        "emission": any(any(row.get("emissiveFactor", (0,))) for row in materials),
        "names with %": any("%" in uri for uri in uris if not uri.startswith("data:")),
        "strips, fans, lines or points": any(p.get("mode", 4) != 4 for p in primitives),
        "sparse accessors": sparse,
        "normalised integers": integers,
    }
    return [name for name, is_there in found.items() if is_there] + sorted(tree.get("extensionsUsed", []))


def describe_survey(survey: dict) -> str:
    """The audit in words and shares."""
    count = survey["assets"]

    def table(title: str, counts: dict[str, int]) -> list[str]:
        return [title, *(f"  {n:6d}  {n / count:6.1%}  {name}" for name, n in counts.items())] if counts else []

    refused = sum(survey["refused"].values())
    lines = [f"{count} assets ({survey['missing']} listed ones are not here), {survey['mb']:.0f} MB"]
    lines.append(f"median {survey['faces']:,} faces; {refused} will be refused ({refused / count:.1%})")
    lines += table("refused, and why", survey["refused"]) + table("features", survey["features"])
    lines += table("licences", survey["licences"])
    lines.append(
        f"rendering {count - refused} objects, {survey['views']} views of {survey['size']} px: about "
        f"{survey['core_hours']:.2g} core hours and {survey['disk_gb']:.2g} GB (`objects plan` on a chunk is exact)"
    )
    return "\n".join(lines)


def write_survey(survey: dict, out: Path) -> None:
    """survey.json and survey.png in the folder `out`."""
    write_text(out / "survey.json", json_text(survey, indent=1))
    draw_survey(survey, out / "survey.png")


def draw_survey(survey: dict, path: Path) -> None:
    """Bars of the shares of features and of refusals."""
    from matplotlib.figure import Figure

    bars = [(f"refused: {name}"[:90], n, "#b3402a") for name, n in survey["refused"].items()]
    bars += [(name, n, "#2a6fb3") for name, n in survey["features"].items()]
    bars = bars[:40][::-1]
    figure = Figure(figsize=(11, 1.2 + 0.24 * len(bars)), layout="constrained")
    axes = figure.subplots()
    shares = [100 * n / survey["assets"] for _, n, _ in bars]
    axes.barh([name for name, _, _ in bars], shares, color=[color for _, _, color in bars])
    axes.set_xlabel("% of assets")
    axes.set_title(
        f"{survey['assets']} assets, median {survey['faces']:,} faces, {survey['core_hours']:.2g} core hours"
    )
    figure.savefig(path, dpi=100)
