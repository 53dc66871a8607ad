"""The report in a real headless browser: no complaints, tables there, the viewer paints, turns and changes, and nothing
is wider than a phone. Runs where chromium is installed (Debian's package; `.ci/run` installs it), else says so."""

import http.server
import json
import queue
import shutil
import subprocess
import threading

import pytest

from mousefacelift.report.build import build_report
from mousefacelift.report.config import ReportConfig
from mousefacelift.report.show import page
from tests.report.pages import ball, write_decision, write_splats

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(BROWSER is None, reason="no headless browser: needs the Debian package chromium")
PROBE = """
<script>
const tick = () => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)));
function look() { // share of painted pixels, mean colour of the painted ones above and below the middle
  const canvas = document.querySelector("canvas"), copy = document.createElement("canvas");
  copy.width = canvas.width; copy.height = canvas.height;
  const context = copy.getContext("2d"); context.drawImage(canvas, 0, 0);
  const data = context.getImageData(0, 0, copy.width, copy.height).data, halves = [[0, 0, 0, 0], [0, 0, 0, 0]];
  for (let i = 0; i < data.length; i += 4) if (data[i] < 250 || data[i + 1] < 250 || data[i + 2] < 250) {
    const half = halves[i / 4 / copy.width < copy.height / 2 ? 0 : 1];
    half[3]++; for (let k = 0; k < 3; k++) half[k] += data[i + k];
  }
  const mean = h => h.slice(0, 3).map(v => Math.round(v / Math.max(h[3], 1)));
  return { painted: (halves[0][3] + halves[1][3]) * 4 / data.length, above: mean(halves[0]), below: mean(halves[1]) };
}
function drag(id, points) {
  const canvas = document.querySelector("canvas"); canvas.setPointerCapture = () => {};
  points.forEach(([x, y], i) => canvas.dispatchEvent(new PointerEvent(i ? "pointermove" : "pointerdown",
    { pointerId: id, clientX: x, clientY: y, pointerType: "touch", buttons: 1 })));
}
const lift = id => document.querySelector("canvas").dispatchEvent(new PointerEvent("pointerup", { pointerId: id }));
window.addEventListener("load", async () => {
  await tick(); const found = { first: look() };
  const choose = (name, value) => { const s = document.querySelector(`[name=${name}]`); if (!s) return;
    s.value = value; s.dispatchEvent(new Event("change")); };
  choose("arm", "1"); await tick(); found.arm = look();
  choose("moment", "1"); await tick(); found.moment = look();
  found.armAfter = document.querySelector("[name=arm]") && document.querySelector("[name=arm]").value;
  drag(1, [[100, 100], [100, -200]]); lift(1); await tick(); found.below = look();
  drag(1, [[100, 100], [100, 100]]); drag(2, [[140, 100], [240, 100]]); lift(1); lift(2); await tick();
  found.pinched = look();
  found.width = document.documentElement.scrollWidth; found.tables = document.querySelectorAll("table tr").length;
  location.hash = "#training"; await tick(); await tick();
  found.opened = !!document.querySelector("#training[open]");
  await fetch("/seen", { method: "POST", body: JSON.stringify(found) });
});
</script>"""


class Seen(http.server.BaseHTTPRequestHandler):
    """Serves one page and takes what its probe saw."""

    def do_GET(self):
        self.send_response(200 if self.path == "/" else 404)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.end_headers()
        self.wfile.write(self.server.page if self.path == "/" else b"")

    def do_POST(self):
        self.server.seen.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *args):
        pass


def open_page(path, tmp_path, width):
    """(what the probe saw, what the browser complained of) of a page with the probe added."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Seen)
    server.page = path.read_text().replace("</body>", PROBE + "</body>").encode()
    server.seen = queue.Queue()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    command = [BROWSER, "--headless", "--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
    command += ["--disable-background-networking", "--no-first-run", f"--user-data-dir={tmp_path / 'profile'}"]
    command += ["--remote-debugging-port=0", "--enable-logging=stderr", f"--window-size={width},900"]
    log = tmp_path / "browser.log"
    with log.open("w") as stderr:
        browser = subprocess.Popen([*command, f"http://127.0.0.1:{server.server_port}/"], stderr=stderr)
        try:
            seen = server.seen.get(timeout=150)
        except queue.Empty:
            pytest.fail(f"the page never answered: {log.read_text()[-2000:]}")
        finally:
            browser.terminate()
            browser.wait(30)
            server.shutdown()
            server.server_close()
    return seen, [line for line in log.read_text().splitlines() if "CONSOLE" in line]


def differ(a, b):
    return max(abs(x - y) for half in ("above", "below") for x, y in zip(a[half], b[half])) > 20


@pytest.mark.parametrize("width", [1280, 500])  # narrower windows are not made by a headless browser
def test_the_report_decides_paints_and_turns_without_complaints(tmp_path, width):
    results = tmp_path / "results"
    write_decision(results)
    write_splats(results)
    build_report(results, results / "report/index.html", ReportConfig())
    seen, complaints = open_page(results / "report/index.html", tmp_path, width)
    assert complaints == [] and seen["tables"] > 12 and seen["width"] <= width
    first = seen["first"]
    assert 0.02 < first["painted"] < 0.9
    assert first["above"][2] > 150 > first["below"][2]  # upright: what is up in the world is up on the page
    assert differ(seen["arm"], first) and not differ(seen["moment"], first)
    assert seen["armAfter"] == "0"  # protocol S did not answer the other moment
    assert seen["below"]["above"][0] > seen["moment"]["above"][0] + 20  # turned by a finger: seen from below
    assert seen["pinched"]["painted"] > seen["below"]["painted"] + 0.05  # two fingers come nearer
    assert seen["opened"]


def test_the_page_of_a_single_splat_paints_it_upright(tmp_path):
    (tmp_path / "splat.html").write_text(page(ball(), "a <ball>"))
    seen, complaints = open_page(tmp_path / "splat.html", tmp_path, 600)
    assert complaints == [] and seen["first"]["painted"] > 0.05
    assert seen["first"]["above"][2] > 150 > seen["first"]["below"][2]
