"""Fetch listed objects from the hub: resumable, checksummed, rate-limited; every failure is listed with its reason.

Part of the objects stage, command `objects download`. Objects of a list lie in `<folder>/glbs/<group>/<uid>.glb`, as on
the hub; `<folder>/downloads.json` holds sha256 and size of what was fetched and the reason of each failure.
"""

import hashlib
import json
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from mousefacelift.chunks import check_name
from mousefacelift.core.files import json_text, sync, write_text
from mousefacelift.errors import DataError
from mousefacelift.objects.config import DownloadConfig

REPOSITORY = "datasets/allenai/objaverse/resolve/main"
WORKERS = 4


def local_path(item: dict, config: DownloadConfig) -> Path:
    """Where a listed object lies or will lie.

    Raises:
        DataError: a name of the list that would lead out of the download folder.
    """
    group, uid = (check_name(item[key], "the object list") for key in ("group", "uid"))
    return Path(config.folder) / "glbs" / group / f"{uid}.glb"


def object_url(item: dict, config: DownloadConfig) -> str:
    """Address of a listed object; HF_ENDPOINT goes before the configured endpoint."""
    endpoint = os.environ.get("HF_ENDPOINT") or config.endpoint
    return f"{endpoint.rstrip('/')}/{REPOSITORY}/glbs/{quote(item['group'])}/{quote(item['uid'])}.glb"


def may_see_token(url: str) -> bool:
    """Whether HF_TOKEN belongs to the host of `url`: that of HF_ENDPOINT, else huggingface.co; never in the clear."""
    home, place = urlsplit(os.environ.get("HF_ENDPOINT") or "https://huggingface.co"), urlsplit(url)
    is_hidden = place.scheme == "https" or place.hostname in ("127.0.0.1", "localhost", "::1")
    return is_hidden and (place.scheme, place.hostname, place.port) == (home.scheme, home.hostname, home.port)


class _KeepTokenHome(HTTPRedirectHandler):
    """Follows redirects, to storage hosts too, without telling them the token (urllib would pass it on)."""

    def redirect_request(self, req, fp, code, msg, headers, newurl):
        request = super().redirect_request(req, fp, code, msg, headers, newurl)
        if request is not None and not may_see_token(newurl):
            request.remove_header("Authorization")
        return request


class RateLimiter:
    """Lets at most `per_s` calls of `wait` return each second, over all threads."""

    def __init__(self, per_s: float) -> None:
        self._gap, self._next, self._lock = 1.0 / per_s, 0.0, threading.Lock()

    def wait(self) -> None:
        with self._lock:
            pause = self._next - time.monotonic()
            self._next = max(self._next, time.monotonic()) + self._gap
        if pause > 0:
            time.sleep(pause)


def download_objects(items: list[dict], config: DownloadConfig) -> dict:
    """Fetch what is not there yet; returns and writes the record {"done": {uid: ...}, "failed": {uid: reason}}.

    Args:
        items: rows of a selection of source `list`.
    """
    record_path = Path(config.folder) / "downloads.json"
    record = json.loads(record_path.read_text()) if record_path.is_file() else {"done": {}, "failed": {}}
    missing = [item for item in items if not local_path(item, config).is_file()]
    limiter = RateLimiter(config.requests_per_s)

    def fetch(item: dict) -> tuple[str, dict | str]:
        try:
            return item["uid"], fetch_object(item, config, limiter)
        except DataError as error:
            return item["uid"], " ".join(str(error).split())

    with ThreadPoolExecutor(WORKERS) as pool:
        for uid, outcome in pool.map(fetch, missing):
            record["failed"].pop(uid, None)
            record["failed" if isinstance(outcome, str) else "done"][uid] = outcome
    write_text(record_path, json_text(record, indent=1))
    return record


def fetch_object(item: dict, config: DownloadConfig, limiter: RateLimiter) -> dict:
    """Fetch one object, going on where an earlier attempt stopped; {"sha256", "bytes"}.

    Raises:
        DataError: refused by the hub, too large, not a GLB, wrong checksum, or no network after all retries.
    """
    target = local_path(item, config)
    part = target.with_name(target.name + ".part")
    part.parent.mkdir(parents=True, exist_ok=True)
    url, problem = object_url(item, config), ""
    for attempt in range(config.retries + 1):
        limiter.wait()
        try:
            expected = fetch_rest(url, part, config)
            return accept(part, target, expected, url)
        except HTTPError as error:
            problem = f"HTTP {error.code}"
            if error.code == 416:
                part.unlink(missing_ok=True)
            elif error.code not in (408, 429, 500, 502, 503, 504):
                break
        except (URLError, OSError) as error:
            problem = str(getattr(error, "reason", error))
        if attempt < config.retries:
            time.sleep(min(30.0, 0.5 * 2**attempt))
    raise DataError("the object could not be fetched", where=url, got=problem)


def fetch_rest(url: str, part: Path, config: DownloadConfig) -> str | None:
    """Append what `part` still lacks; returns the sha256 that the hub states, if it does."""
    have = part.stat().st_size if part.exists() else 0
    headers = {"User-Agent": "mousefacelift"} | ({"Range": f"bytes={have}-"} if have else {})
    if os.environ.get("HF_TOKEN") and may_see_token(url):
        headers["Authorization"] = f"Bearer {os.environ['HF_TOKEN']}"
    with build_opener(_KeepTokenHome).open(Request(url, headers=headers), timeout=config.timeout_s) as response:
        resumed = response.status == 206
        total = int(response.headers.get("Content-Length") or 0) + (have if resumed else 0)
        refuse_large(total, url, config)
        with open(part, "ab" if resumed else "wb") as stream:
            while block := response.read(1 << 20):
                stream.write(block)
                refuse_large(stream.tell(), url, config, part)  # whatever the length that was stated, if any
        if part.stat().st_size < total:
            raise URLError(f"connection closed after {part.stat().st_size} of {total} bytes")
        etag = (response.headers.get("X-Linked-Etag") or response.headers.get("ETag") or "").strip('"')
    return etag if len(etag) == 64 else None


def refuse_large(size: int, url: str, config: DownloadConfig, part: Path | None = None) -> None:
    """Raise DataError for more bytes than `largest_mb`; what was fetched of them is removed."""
    if size <= config.largest_mb * 1e6:
        return
    if part is not None:
        part.unlink(missing_ok=True)
    raise DataError(
        "the object is too large", where=url, got=f"{size / 1e6:.0f} MB", expected=f"{config.largest_mb:g} MB"
    )


def accept(part: Path, target: Path, expected: str | None, url: str) -> dict:
    """Check a finished file and give it its name.

    Raises:
        DataError: not a GLB, or not the stated checksum; the file is removed.
    """
    data = part.read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    if data[:4] != b"glTF" or (expected is not None and digest != expected):
        part.unlink()
        raise DataError(
            "what was fetched is not the object",
            where=url,
            got=f"first bytes {data[:4]!r}, sha256 {digest[:12]}",
            expected=f"b'glTF', sha256 {(expected or 'not stated')[:12]}",
        )
    sync(part)
    os.replace(part, target)
    return {"sha256": digest, "bytes": len(data)}
