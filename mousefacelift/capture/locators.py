"""Which file belongs to which camera: patterns with {camera} anywhere in the path, matched by name, number, place."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path

from mousefacelift.capture.sources import SOURCES, VIDEO_SUFFIXES, split_object
from mousefacelift.capture.sources.arrays import SUFFIXES as ARRAY_SUFFIXES
from mousefacelift.capture.sources.chunks import chunk_files
from mousefacelift.errors import DataError
from mousefacelift.formats.entries import natural_key

SUFFIXES = (*VIDEO_SUFFIXES, *ARRAY_SUFFIXES, ".json")


def locate_sources(
    folder: Path, pattern: str, names: Sequence[str], recording: str, what: str, dropped: Sequence[str] = ()
) -> tuple[str, ...]:
    """One source per camera, in the cameras' order; "" for one of the cameras `dropped` that has none.

    `{camera}` stands for the camera's name (upper or lower case, a blank as an underscore or a hyphen), else for the
    number in its name, else for its place from 0 or 1; `*` for anything. A pattern without suffix takes any video, a
    folder of videos or pictures, or an array.

    Raises:
        DataError: no `{camera}`, no such folder, a camera without a file, or a file without a camera.
    """
    if "{camera}" not in pattern:
        raise DataError(
            f"{what} pattern of recording {recording} has no {{camera}}",
            got=pattern,
            expected="cam{camera}.mp4, or {camera}/0.mp4",
        )
    found = _tokens(folder, pattern, recording, what)
    matched = _match(list(names), found)
    missing = [name for name in names if name not in matched and name not in dropped]
    if missing:
        spare = f"; or leave it out: drop_cameras: {missing}" if len(names) - len(missing) >= 3 else ""
        raise DataError(
            f"recording {recording} lacks the {what} of camera {', '.join(missing)}",
            where=str(folder / pattern),
            got=f"{len(found)} files: {', '.join(sorted(found, key=natural_key)[:12]) or 'none'}",
            expected=f"{len(names)}, one per calibrated camera: {', '.join(names)}",
            hint=f"name the recording's {what}s, with {{camera}} where the camera's name or number stands{spare}",
        )
    _refuse_extra(found, matched, recording, what)
    return tuple(str(found[matched[name]]) if name in matched else "" for name in names)


def _tokens(folder: Path, pattern: str, recording: str, what: str) -> dict[str, Path]:
    """What `{camera}` may stand for, each with its source."""
    pattern, mark = (
        (pattern[: pattern.rindex("#")], pattern[pattern.rindex("#") :]) if "#" in pattern else (pattern, "")
    )
    parts = Path(pattern).parts
    place = next(index for index, part in enumerate(parts) if "{camera}" in part)
    base = folder.joinpath(*parts[:place])
    if not base.is_dir():
        raise DataError(
            f"recording {recording} has no folder for its {what}s",
            where=str(base),
            got=", ".join(sorted(p.name for p in folder.iterdir())[:12]) or "an empty folder",
            hint=f"check the recording's {what}s in config.yaml",
        )
    expression = re.escape(parts[place]).replace(re.escape("{camera}"), "(?P<camera>.+?)", 1)
    expression = expression.replace(re.escape("{camera}"), "(?P=camera)").replace(re.escape("*"), ".*")
    tokens: dict[str, Path] = {}
    for entry in sorted(base.iterdir(), key=lambda p: natural_key(p.name)):
        if entry.name.startswith("."):
            continue
        last = place == len(parts) - 1
        name = _without_suffix(entry) if last and Path(parts[place]).suffix.lower() not in SUFFIXES else entry.name
        token = re.fullmatch(expression, name)
        if token:
            rest = [part.replace("{camera}", token["camera"]) for part in parts[place + 1 :]]
            source = _source(entry, rest, recording, what)
            if source is not None:
                _refuse_twin(tokens, token["camera"], source, recording, what)
                tokens[token["camera"]] = Path(f"{source}{mark}")
    return tokens


def _without_suffix(entry: Path) -> str:
    return entry.name[: -len(entry.suffix)] if entry.suffix.lower() in SUFFIXES else entry.name


def _refuse_twin(tokens: dict, token: str, source: Path, recording: str, what: str) -> None:
    if token in tokens:
        raise DataError(
            f"recording {recording} has two {what}s for camera {token}",
            got=f"{tokens[token].name} and {source.name}",
            hint=f"say which in the recording's {what}s, for example {{camera}}{source.suffix}",
        )


def _source(entry: Path, rest: list[str], recording: str, what: str) -> Path | None:
    """The source at `entry`/`rest`, or None when there is nothing that can be one."""
    path = entry
    for part in rest:
        if "*" in part:
            found = sorted(path.glob(part), key=lambda p: natural_key(p.name)) if path.is_dir() else []
            if len(found) > 1 and part == rest[-1] and len(found) == len(chunk_files(path)):
                return path
            if len(found) > 1:
                raise DataError(
                    f"recording {recording} has several {what}s where one is expected",
                    where=str(path / part),
                    got=", ".join(p.name for p in found[:6]),
                )
            path = found[0] if found else path / part
        else:
            path = path / part
    if not path.exists() and rest:
        path = next((p for s in SUFFIXES if (p := path.with_name(path.name + s)).exists()), path)
    if path.is_file() and rest and path.stem.isdigit() and path.suffix.lower() in VIDEO_SUFFIXES:
        pieces = [p for p in chunk_files(path.parent) if p.stem.isdigit()]
        if len(pieces) > 1:  # 0.mp4 names the first piece of a recording in pieces
            return path.parent
    if path.is_file():
        return path if path.suffix.lower() in (*SUFFIXES, ".csv", ".txt") else None
    return path if path.exists() and any(kind.matches(path) for kind in SOURCES) else None


def _match(names: list[str], found: dict[str, Path]) -> dict[str, str]:
    """{camera name: token}: by name, else by the one number in it, else by place; the best that is incomplete else."""
    tokens = list(found)
    ways = [_by_word(names, tokens, str.casefold), _by_word(names, tokens, _letters)]
    ways.append(_by_number(names, tokens))
    for first in (0, 1):
        places = [str(index + first) for index in range(len(names))]
        ways.append(dict(zip(names, _by_number(places, tokens).values())) if _all(places, tokens) else {})
    return max(ways, key=len)  # the first of the longest: names before numbers before places


def _by_word(names: list[str], tokens: list[str], plain: Callable[[str], str]) -> dict[str, str]:
    """{name: token} of the same `plain` word; nothing where two names or two tokens have the same."""
    by_word = {plain(token): token for token in tokens}
    if len(by_word) < len(tokens) or len({plain(name) for name in names}) < len(names):
        return {}
    return {name: by_word[plain(name)] for name in names if plain(name) in by_word}


def _letters(word: str) -> str:
    """A name without what tools put in place of a blank."""
    return re.sub(r"[\W_]+", "", word.casefold())


def _all(places: list[str], tokens: list[str]) -> bool:
    return len(_by_number(places, tokens)) == len(places)


def _by_number(names: list[str], tokens: list[str]) -> dict[str, str]:
    """{name: token} where both hold one number, the same, and no two share it."""
    numbered = [{_number(word): word for word in words if _number(word) is not None} for words in (names, tokens)]
    if len(numbered[0]) < len(names) or len(numbered[1]) < sum(_number(token) is not None for token in tokens):
        return {}
    return {word: numbered[1][number] for number, word in numbered[0].items() if number in numbered[1]}


def _number(word: str) -> int | None:
    digits = re.findall(r"\d+", word)
    return int(digits[0]) if len(digits) == 1 else None


def _refuse_extra(found: dict[str, Path], matched: dict[str, str], recording: str, what: str) -> None:
    """A file named like the others without a camera means a calibration with a camera missing."""
    kinds = {re.sub(r"\d+", "#", token) for token in matched.values()}
    used = set(matched.values())
    extra = [token for token in found if token not in used and re.sub(r"\d+", "#", token) in kinds]
    if extra:
        raise DataError(
            f"recording {recording} has a {what} without a calibrated camera",
            got=", ".join(split_object(found[token])[0].name for token in sorted(extra, key=natural_key)),
            expected=f"{len(used)} files",
            likely="a camera is missing from the calibration",
            hint=f"calibrate it too, or take its {what} out of the folder",
        )
