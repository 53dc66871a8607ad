"""OBJ files with their MTL materials as mesh parts: polygons, negative numbers, names with blanks, map options.

Part of the objects stage. After the Wavefront specification (appendices B1 and B3 of Advanced Visualizer): a backslash
at a line's end continues it; `Kd` and `map_Kd` multiply; `d` and `Tr` are opacity, `map_d` a picture of it. Colours
behind a vertex (x y z r g b) are the usual extension. All colours are sRGB.
"""

import codecs
from dataclasses import replace
from pathlib import Path

import numpy as np

from mousefacelift.errors import DataError
from mousefacelift.objects.config import Limits
from mousefacelift.objects.formats.document import find_file
from mousefacelift.objects.formats.pictures import check_picture, decode_picture
from mousefacelift.objects.formats.polygons import split_polygons
from mousefacelift.objects.mesh import BLEND, CLAMP, MASK, REPEAT, Material

MAPS = ("map_kd", "map_ke", "map_d")  # that are drawn
# options of a map statement and how many numbers follow each (at most, for -o -s -t)
OPTIONS = {"-blendu": 1, "-blendv": 1, "-boost": 1, "-bm": 1, "-cc": 1, "-clamp": 1, "-imfchan": 1, "-texres": 1}
OPTIONS |= {"-mm": 2, "-o": 3, "-s": 3, "-t": 3, "-type": 1, "-colorspace": 1}


def read_lines(path: Path) -> list[str]:
    """Statements of a file: comments and continued lines resolved; UTF-16 where a byte order mark says so."""
    data = path.read_bytes()
    wide = data[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
    text = data.decode("utf-16" if wide else "utf-8-sig", errors="surrogateescape")
    text = text.replace("\\\r\n", " ").replace("\\\n", " ")
    return [line for line in (raw.strip() for raw in text.splitlines()) if line and not line.startswith("#")]


def read_obj(path: Path) -> list[dict]:
    """One dict of `join_parts` arrays for each material of an OBJ file, in the file's axes.

    Raises:
        DataError: a library or picture is missing, or faces name vertices that are not there.
    """
    rows = {"v": [], "vt": [], "vn": []}
    corners, sizes, owners, names, current, libraries = [], [], [], {None: 0}, None, []
    for line in read_lines(path):
        word, _, rest = line.partition(" ")
        word, rest = (word, rest) if "\t" not in word else (word.split("\t")[0], line[len(word.split("\t")[0]) :])
        if word in rows:
            rows[word].append(rest.split())
        elif word == "f":
            fields = rest.split("#")[0].split()
            for field in fields:
                corners.append(corner_numbers(field, [len(rows[k]) for k in ("v", "vt", "vn")], path))
            sizes.append(len(fields))
            owners.append(names.setdefault(current, len(names)))
        elif word == "usemtl":
            current = rest.strip()
        elif word == "mtllib":
            libraries.append(rest.strip())
    if not sizes:
        return []
    materials = {None: Material()}
    for library in libraries:
        for file in library_files(library, path):
            materials |= {
                name: make_material(group, file) for name, group in read_groups(file).items() if name in names
            }
    unknown = [name for name in names if name not in materials and libraries]
    if unknown:
        raise DataError("a material that the asset names is missing", where=str(path), got=", ".join(unknown)[:100])
    vertices = to_array(rows["v"], 3, path)
    table = np.array(corners, np.int64)
    for column, word in ((1, "vt"), (2, "vn")):
        if not rows[word]:  # numbers of coordinates or normals in a file that holds none
            table[:, column] = -1
    check_corners(table, [len(rows[k]) for k in ("v", "vt", "vn")], path)
    faces, owner = split_polygons(np.array(sizes), np.array(owners), vertices[table[:, 0]])
    colors = to_array([row[:6] for row in rows["v"]], 6, path)[:, 3:] if all(len(r) >= 6 for r in rows["v"]) else None
    arrays = (vertices, to_array(rows["vt"], 2, path), to_array(rows["vn"], 3, path), colors)
    return [
        make_part(table, faces[owner == number], arrays, materials.get(name, materials[None]))
        for name, number in names.items()
        if (owner == number).any()
    ]


def corner_numbers(field: str, counts: list[int], path: Path) -> tuple[int, int, int]:
    """(vertex, texture, normal) numbers from 0 of `v`, `v/t`, `v//n` or `v/t/n`; -1 where there is none; negative ones
    count back from the last so far."""
    parts = field.split("/")
    numbers = []
    for k in range(3):
        try:
            number = int(parts[k]) if k < len(parts) and parts[k] else 0
        except ValueError as error:
            raise DataError("a face of the OBJ file is not numbers", where=str(path), got=field[:40]) from error
        numbers.append(number - 1 if number > 0 else counts[k] + number if number < 0 else -1)
    return tuple(numbers)


def check_corners(table: np.ndarray, counts: list[int], path: Path) -> None:
    """Refuse numbers of vertices, coordinates or normals that the file does not have."""
    if table[:, 0].min() < 0 or (table.max(axis=0) >= counts).any():
        raise DataError(
            "faces name vertices that are not there",
            where=str(path),
            got=table.max(axis=0) + 1,
            expected=f"up to {counts}",
        )


def to_array(rows: list[list[str]], width: int, path: Path) -> np.ndarray:
    """[n, width] numbers; missing ones are 0."""
    try:
        return np.array([(row + ["0"] * width)[:width] for row in rows], np.float64).reshape(-1, width)
    except ValueError as error:
        raise DataError("a line of the OBJ file is not numbers", where=str(path), got=str(error)) from error


def make_part(table: np.ndarray, faces: np.ndarray, arrays: tuple, material: Material) -> dict:
    """Arrays of one material: a vertex is repeated for every coordinate and normal that it is used with."""
    vertices, coordinates, normals, colors = arrays
    used, place = np.unique(table[faces.reshape(-1)], axis=0, return_inverse=True)
    uv, shading = np.zeros((len(used), 2)), np.zeros((len(used), 3))
    if len(coordinates):
        uv[used[:, 1] >= 0] = coordinates[used[used[:, 1] >= 0, 1]]
    if material.texture is not None and (used[:, 1] < 0).all():
        raise DataError("a textured surface has no texture coordinates", likely="an export that lost them")
    if len(normals):
        shading[used[:, 2] >= 0] = normals[used[used[:, 2] >= 0, 2]]
    tint = None
    if colors is not None:
        tint = np.ones((len(used), 4))
        scale = 255.0 if colors.max(initial=0) > 1 else 1.0
        tint[:, :3] = srgb_to_linear(colors[used[:, 0]] / scale)
    return {
        "vertices": vertices[used[:, 0]],
        "faces": place.reshape(-1, 3),
        "normals": np.nan_to_num(shading),
        "uv": np.nan_to_num(uv),
        "colors": tint,
        "material": material,
    }


def srgb_to_linear(values: np.ndarray) -> np.ndarray:
    """Linear light of sRGB numbers in [0, 1]."""
    values = np.clip(np.nan_to_num(values), 0, 1)
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def library_files(names: str, path: Path) -> list[Path]:
    """The files of an `mtllib` statement: one whose name may hold blanks, else several names."""
    names = names.replace("\\", "/")
    try:
        return [find_file(names, path)]
    except DataError:
        if len(names.split()) < 2:
            raise
    return [find_file(name, path) for name in names.split()]


def read_groups(path: Path) -> dict[str, dict[str, str]]:
    """{material: {statement: its words}} of a material library."""
    groups, current = {}, None
    for line in read_lines(path):
        word, *rest = line.split(maxsplit=1)
        if word == "newmtl":
            current = groups.setdefault(rest[0].strip() if rest else "", {})
        elif current is not None and rest:
            current[word.lower()] = rest[0].strip()
    return groups


def check_library(libraries: list[str], used: set[str], path: Path, limits: Limits) -> None:
    """Look for the materials that an OBJ file uses, and for their pictures, whose headers alone are read.

    Raises:
        DataError: something is missing, broken or too large.
    """
    groups = {}
    for file in (file for library in libraries for file in library_files(library, path)):
        groups |= {name: (file, group) for name, group in read_groups(file).items()}
    if libraries and not used <= set(groups):
        raise DataError(
            "a material that the asset names is missing",
            where=str(path),
            got=", ".join(sorted(used - set(groups)))[:100],
        )
    for name in sorted(used & set(groups)):
        file, group = groups[name]
        for statement in (group[key] for key in MAPS if key in group):
            check_picture(map_file(statement, file)[0].read_bytes(), f"{file}, {statement[:100]}", limits)


def make_material(group: dict[str, str], path: Path) -> Material:
    """The surface of one group of statements: matt, seen from both sides.

    Raises:
        DataError: a picture is missing or broken, or a statement is not numbers.
    """
    try:
        color = [float(v) for v in group["kd"].split()[:3]] if "kd" in group else [1.0, 1.0, 1.0]
        opacity = read_opacity(group)
        glow = ([float(v) for v in group.get("ke", "0 0 0").split()[:3]] * 3)[:3]
    except ValueError as error:
        raise DataError("a material statement is not numbers", where=str(path), got=str(error)) from error
    texture = glow_texture = None
    wrap = (REPEAT, REPEAT)
    if "map_kd" in group:
        texture, wrap = read_map(group["map_kd"], path)
    if "map_ke" in group:
        glow_texture, _ = read_map(group["map_ke"], path)
        glow = glow if any(glow) else [1.0, 1.0, 1.0]
    material = Material(
        base=(*(srgb_to_linear(np.array((color * 3)[:3])).tolist()), 1.0),
        texture=texture,
        emissive=tuple((srgb_to_linear(np.array(glow)) * np.maximum(glow, 1.0)).tolist()),  # above 1 it is a strength
        emissive_texture=glow_texture,
        wrap=wrap,
    )
    if "map_d" in group:
        return cut_out(material, read_map(group["map_d"], path)[0])
    return (
        material if opacity >= 1 else replace(material, base=(*material.base[:3], max(opacity, 0.0)), alpha_mode=BLEND)
    )


def read_opacity(group: dict[str, str]) -> float:
    """`d`, or 1 - `Tr`; `Tr 1` without `d` is opaque, which is what MeshLab means by it."""
    if "d" in group:
        return float(group["d"].split()[-1])
    transparency = float(group.get("tr", "0").split()[-1])
    return 1.0 if transparency >= 1 else 1.0 - transparency


def cut_out(material: Material, mask: np.ndarray) -> Material:
    """A material whose opacity is a picture: its alpha where it has one, else its light."""
    alpha = mask[..., 3] if (mask[..., 3] < 255).any() else mask[..., :3].mean(axis=-1).astype(np.uint8)
    if material.texture is None:
        texture = np.full((*alpha.shape, 4), 255, np.uint8)
    else:
        rows, columns = (np.arange(n) * m // n for n, m in zip(alpha.shape, material.texture.shape))
        texture = material.texture[rows][:, columns].copy()
    texture[..., 3] = alpha
    return replace(material, texture=texture, alpha_mode=MASK)


def read_map(statement: str, path: Path) -> tuple[np.ndarray, tuple[int, int]]:
    """The picture of a map statement and its wrap modes.

    Raises:
        DataError: see `map_file`; or the picture is broken.
    """
    file, wrap = map_file(statement, path)
    return decode_picture(file.read_bytes(), f"{path}, {statement[:100]}"), wrap


def map_file(statement: str, path: Path) -> tuple[Path, tuple[int, int]]:
    """The file of a map statement and its wrap modes; options before the name are read, the name may hold blanks.

    Raises:
        DataError: the picture is missing, or moved by -o or -s, which is not read.
    """
    words, wrap = statement.split(), (REPEAT, REPEAT)
    while words and words[0] in OPTIONS:
        option, limit = words.pop(0), 0
        values = []
        while words and limit < OPTIONS[option] and (OPTIONS[option] < 3 or is_number(words[0])):
            values.append(words.pop(0))
            limit += 1
        if option == "-clamp" and values == ["on"]:
            wrap = (CLAMP, CLAMP)
        still = {"-o": 0.0, "-s": 1.0, "-t": 0.0}.get(option)
        if still is not None and any(float(v) != still for v in values[:2]):
            raise DataError("a texture is moved or scaled by its material", where=str(path), got=statement[:100])
    start = statement.rfind(words[0]) if len(words) == 1 else statement.find(" ".join(words[:2]))
    name = statement[start:] if words and start >= 0 else statement
    return find_file(name.replace("\\", "/"), path), wrap


def is_number(word: str) -> bool:
    """True where a word reads as a number."""
    try:
        float(word)
    except ValueError:
        return False
    return True
