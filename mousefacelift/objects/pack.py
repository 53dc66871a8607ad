"""A finished chunk as one uncompressed tar: a cluster's file system then holds one file where it held thousands.

Part of the objects stage, command `objects pack`. Members keep their paths (`<object>/images/cam_000.png`), the
samples' files stand together in order, and equal chunks give equal bytes (owners and times are zero). `tar -xf`
restores the chunk.
"""

import tarfile
from pathlib import Path

from mousefacelift.chunks import read_index
from mousefacelift.core.files import via


def pack_chunk(index: Path, out: Path) -> int:
    """Write the chunk of `index` as `out` (.tar), whole or not at all; returns the number of members."""
    chunk = Path(index).parent
    folders = [chunk / item["name"] for item in read_index(index)["items"]]
    files = [Path(index)] + [p for folder in folders for p in sorted(folder.rglob("*")) if p.is_file()]
    with via(out, "archive") as part, tarfile.open(part, "w", format=tarfile.USTAR_FORMAT) as archive:
        for path in files:
            member = tarfile.TarInfo(str(path.relative_to(chunk)))
            member.size, member.mode = path.stat().st_size, 0o644
            with open(path, "rb") as stream:
                archive.addfile(member, stream)
    return len(files)
