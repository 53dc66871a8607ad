"""Downloads against a small local server: resumed, checked, and every failure listed."""

import hashlib
import http.server
import os
import threading
from types import SimpleNamespace

import pytest

from mousefacelift.errors import DataError
from mousefacelift.objects.config import DownloadConfig
from mousefacelift.objects.download import RateLimiter, download_objects, local_path

BODY = b"glTF" + bytes(range(256)) * 20


@pytest.fixture
def hub(monkeypatch):
    """A server with objects of several tempers; `state.requests` lists what was asked."""
    state = SimpleNamespace(requests=[], tokens=[], broken_once=True)

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            name = self.path.rsplit("/", 1)[1].removesuffix(".glb")
            state.requests.append((name, self.headers.get("Range")))
            state.tokens.append((self.headers.get("Host").split(":")[0], self.headers.get("Authorization")))
            if name == "gone":
                return self.send_error(404)
            if name == "busy" and state.broken_once:
                state.broken_once = False
                return self.send_error(503)
            body = b"<html>" + BODY if name == "page" else BODY
            if name == "moved":
                self.send_response(302)
                self.send_header("Location", f"http://localhost:{self.server.server_port}/elsewhere/good.glb")
                return self.end_headers()
            if name == "endless":  # states no length and never ends
                self.send_response(200)
                self.end_headers()
                for _ in range(200):
                    self.wfile.write(BODY * 100)
                return None
            start = int((self.headers.get("Range") or "bytes=0-")[6:-1])
            self.send_response(206 if start else 200)
            self.send_header("Content-Length", str(10**12 if name == "large" else len(body) - start))
            digest = "0" * 64 if name == "altered" else hashlib.sha256(body).hexdigest()
            self.send_header("X-Linked-Etag", f'"{digest}"')
            self.end_headers()
            self.wfile.write(body[start:])

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    for name in ("http_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    yield state
    server.shutdown()


def test_objects_are_fetched_checked_and_failures_listed(tmp_path, hub):
    config = DownloadConfig(folder=str(tmp_path), requests_per_s=200, retries=1)
    items = [{"uid": uid, "group": "000-001"} for uid in ("good", "busy", "gone", "page", "altered", "large")]
    record = download_objects(items, config)
    assert set(record["done"]) == {"good", "busy"}
    assert record["done"]["good"] == {"sha256": hashlib.sha256(BODY).hexdigest(), "bytes": len(BODY)}
    for uid, reason in (
        ("gone", "HTTP 404"),
        ("page", "not the object"),
        ("altered", "not the object"),
        ("large", "too large"),
    ):
        assert reason in record["failed"][uid] and not local_path({"uid": uid, "group": "000-001"}, config).exists()
    before = len(hub.requests)
    assert set(download_objects(items[:2], config)["done"]) == {"good", "busy"} and len(hub.requests) == before


def test_an_interrupted_download_goes_on_where_it_stopped(tmp_path, hub):
    config = DownloadConfig(folder=str(tmp_path), requests_per_s=200)
    item = {"uid": "good", "group": "000-001"}
    part = local_path(item, config).with_name("good.glb.part")
    part.parent.mkdir(parents=True)
    part.write_bytes(BODY[:1000])
    download_objects([item], config)
    assert hub.requests == [("good", "bytes=1000-")]
    assert local_path(item, config).read_bytes() == BODY and not part.exists()


def test_no_network_is_a_reason_not_a_crash(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    config = DownloadConfig(folder=str(tmp_path), requests_per_s=200, retries=0)
    record = download_objects([{"uid": "a", "group": "b"}], config)
    assert "could not be fetched" in record["failed"]["a"]


def test_the_rate_is_kept():
    import time

    limiter, started = RateLimiter(50), time.monotonic()
    for _ in range(6):
        limiter.wait()
    assert time.monotonic() - started >= 0.1


def test_the_token_is_told_to_its_own_host_only(tmp_path, hub, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "secret")
    monkeypatch.setenv("no_proxy", "127.0.0.1,localhost")
    config = DownloadConfig(folder=str(tmp_path), requests_per_s=200, retries=0)
    assert set(download_objects([{"uid": "moved", "group": "a"}], config)["done"]) == {"moved"}
    assert hub.tokens == [("127.0.0.1", "Bearer secret"), ("localhost", None)]
    hub.tokens.clear()
    other = DownloadConfig(endpoint=os.environ["HF_ENDPOINT"], folder=str(tmp_path), requests_per_s=200, retries=0)
    monkeypatch.delenv("HF_ENDPOINT")
    download_objects([{"uid": "good", "group": "a"}], other)
    assert hub.tokens == [("127.0.0.1", None)]


@pytest.mark.parametrize("row", [("..", "x"), ("a/../../b", "x"), ("/tmp", "x"), ("a", "../x"), ("", "x")])
def test_a_row_of_a_list_cannot_leave_the_download_folder(tmp_path, row):
    with pytest.raises(DataError, match="no folder name"):
        local_path({"group": row[0], "uid": row[1]}, DownloadConfig(folder=str(tmp_path)))


def test_a_file_without_a_stated_length_is_cut_at_the_largest_size(tmp_path, hub):
    config = DownloadConfig(folder=str(tmp_path), requests_per_s=200, retries=0, largest_mb=1.0)
    record = download_objects([{"uid": "endless", "group": "a"}], config)
    assert "too large" in record["failed"]["endless"]
    assert [p for p in (tmp_path / "glbs").rglob("*") if p.is_file()] == []
