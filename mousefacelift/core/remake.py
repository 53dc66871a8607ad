"""The command that makes a file of results/ again, for error messages.

A job's output is often one file of many that it writes: the index of a chunk, the model of a run. Asking for the others
would do nothing.
"""

from __future__ import annotations

import re
from pathlib import Path

OUTPUTS = (  # files below results/ -> the output that stands for them, first match
    (r"recordings/(?P<a>[^/]+)/.*", "recordings/{a}/recording.json"),
    (r"distill/generator/.*", "distill/generator/generator.json"),
    (r"(?P<a>(capture|distill|splats)/[^/]+/[^/]+/\d{6,}-\d{6,})(/.*)?", "{a}/index.json"),
    (r"(?P<a>objects/(samples|scans/[^/]+)/\d{6,}-\d{6,})(/.*)?", "{a}/index.json"),
    (r"dataset/(splits|verify)\.json", None),
    (r"dataset/shards(/.*)?", "dataset/shards/index.parquet"),
    (r"dataset(/.*)?", "dataset/dataset.json"),
    (r"train/(?P<a>[^/]+)(/.*)?", "train/{a}/model.safetensors"),
    (r"evaluate/(?P<a>[^/]+)/predictions(/.*)?", "evaluate/{a}/predictions/index.json"),
    (r"evaluate/(?P<a>[^/]+)/.*", "evaluate/{a}/summary.json"),
    (r"report(/.*)?", "report/index.html"),
)


def remake_hint(path: str | Path) -> str:
    """The command that remakes a result of the pipeline, or words where the file is not one."""
    parts = Path(path).parts
    if "results" not in parts[:-1]:
        return "run again the command that wrote it"
    at = len(parts) - 1 - parts[::-1].index("results")
    inner = "/".join(parts[at + 1 :])
    for pattern, output in OUTPUTS:
        match = re.fullmatch(pattern, inner)
        if match:
            inner = inner if output is None else output.format(**match.groupdict())
            break
    folder = Path(*parts[:at]) if at else None
    where = "" if folder in (None, Path.cwd()) else f"-d {folder} "
    return f"snakemake --cores 2 {where}-f results/{inner}"
