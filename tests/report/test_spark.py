"""Spark (three.js) in a headless browser shows the written PLY as our renderer does, upright by the documented turn."""

from __future__ import annotations

import json
import shutil
import subprocess

import numpy as np
import pytest
import torch
from PIL import Image

from mousefacelift.core.camera_tensors import CameraTensors
from mousefacelift.core.cameras import canonical_fxfycxcy, orbit
from mousefacelift.core.gaussians import Gaussians
from mousefacelift.core.render import render
from mousefacelift.core.splat_files import write_ply

pytestmark = pytest.mark.slow

SIZE = 256
PACKAGES = ("@sparkjsdev/spark@2.2.0", "three@0.180.0", "puppeteer-core@24.43.1")
PAGE = """<!doctype html><body style="margin:0">
<script type="importmap">{"imports": {"three": "/node_modules/three/build/three.module.js",
  "three/addons/": "/node_modules/three/examples/jsm/"}}</script>
<script type="module">
import * as THREE from "three";
import { SparkRenderer, SplatMesh } from "/node_modules/@sparkjsdev/spark/dist/spark.module.js";
const c = await (await fetch("camera.json")).json();
const renderer = new THREE.WebGLRenderer({antialias: false, preserveDrawingBuffer: true});
renderer.setPixelRatio(1); renderer.setSize(c.size, c.size); renderer.setClearColor(0xffffff, 1);
document.body.appendChild(renderer.domElement);
const scene = new THREE.Scene();
scene.add(new SparkRenderer({renderer, preBlurAmount: 0.3, blurAmount: 0.0, maxStdDev: 3.33}));
const camera = new THREE.PerspectiveCamera(2 * Math.atan(c.size / 2 / c.focal) * 180 / Math.PI, 1, 0.01, 100);
const turn = new THREE.Matrix4().makeRotationX(-Math.PI / 2);  // Z up to Y up: what docs/formats.md says
turn.multiply(new THREE.Matrix4().set(...c.c2w.flat())).decompose(camera.position, camera.quaternion, camera.scale);
const mesh = new SplatMesh({url: "mouse.ply"});
mesh.rotation.x = -Math.PI / 2;
scene.add(mesh); await mesh.initialized;
let n = 0;
function tick() {
  renderer.render(scene, camera);
  if (++n < 40) requestAnimationFrame(tick); else document.title = "done";
}
tick();
</script></body>"""
SHOT = """
const puppeteer = require("puppeteer-core"), http = require("http"), fs = require("fs"), path = require("path");
const types = {".js": "text/javascript", ".html": "text/html", ".json": "application/json"};
const server = http.createServer((request, reply) => {
  const name = request.url === "/" ? "index.html" : decodeURIComponent(request.url.split("?")[0]);
  fs.readFile(path.join(".", name), (error, data) => {
    if (error) { reply.writeHead(404); return reply.end(); }
    reply.writeHead(200, {"Content-Type": types[path.extname(name)] || "application/octet-stream"}); reply.end(data);
  });
}).listen(0, async () => {
  const browser = await puppeteer.launch({executablePath: process.argv[2], headless: true, args: ["--no-sandbox",
    "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--ignore-gpu-blocklist"]});
  const page = await browser.newPage();
  page.on("pageerror", error => console.log(String(error)));
  await page.goto(`http://localhost:${server.address().port}/`);
  await page.waitForFunction('document.title === "done"', {timeout: 240000});
  const data = await page.evaluate(() => document.querySelector("canvas").toDataURL());
  fs.writeFileSync("shot.png", Buffer.from(data.split(",")[1], "base64"));
  await browser.close(); process.exit(0);
});
"""
# centre and half axes of body, head, ears and tail; nose to +x, Z up
PARTS = (
    ((0, 0, 0), (0.55, 0.3, 0.28), 3000),
    ((0.62, 0, 0.08), (0.25, 0.2, 0.2), 1200),
    ((0.55, 0.17, 0.3), (0.06, 0.12, 0.12), 500),
    ((0.55, -0.17, 0.3), (0.06, 0.12, 0.12), 500),
    ((-0.85, 0, -0.1), (0.4, 0.03, 0.03), 800),
)


def mouse():
    """A mouse of ellipsoids, brown, paler below, one side darker."""
    g = torch.Generator().manual_seed(0)
    points, colors = [], []
    for center, axes, count in PARTS:
        direction = torch.nn.functional.normalize(torch.randn(count, 3, generator=g), dim=1)
        points.append(direction * torch.tensor(axes) + torch.tensor(center, dtype=torch.float32))
        shade = 0.7 - 0.175 * (direction[:, 2:] + 1)
        colors.append(torch.cat([1.2 * shade, shade, 0.8 * shade], 1) * (1 - 0.4 * (points[-1][:, 1:2] > 0)))
    means = torch.cat(points)
    quats = torch.nn.functional.normalize(torch.randn(len(means), 4, generator=g), dim=1)
    scales, opacities = torch.full((len(means), 3), 0.03), torch.full((len(means),), 0.9)
    return Gaussians.from_rgb(means, quats, scales, opacities, torch.cat(colors).clamp(0, 1))


def test_spark_shows_the_mouse_upright_as_our_renderer_does(tmp_path):
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if not browser or not shutil.which("npm"):
        pytest.skip("needs node with npm, and chromium")
    command = ["npm", "install", "--no-audit", "--no-fund", "--prefix", str(tmp_path), *PACKAGES]
    if subprocess.run(command, capture_output=True).returncode:
        pytest.skip("Spark does not install here")
    gaussians = mouse()
    write_ply(tmp_path / "mouse.ply", gaussians)
    camera = orbit(40, 25, 2.7, canonical_fxfycxcy(SIZE), SIZE, SIZE)
    c2w = np.linalg.inv(camera.w2c) @ np.diag([1.0, -1, -1, 1])
    facts = {"c2w": c2w.tolist(), "focal": float(camera.fxfycxcy[0]), "size": SIZE}
    (tmp_path / "camera.json").write_text(json.dumps(facts))
    (tmp_path / "index.html").write_text(PAGE)
    (tmp_path / "shot.js").write_text(SHOT)
    run = subprocess.run(["node", "shot.js", browser], cwd=tmp_path, capture_output=True, text=True, timeout=400)
    assert (tmp_path / "shot.png").exists(), run.stdout + run.stderr
    theirs = np.asarray(Image.open(tmp_path / "shot.png").convert("RGB"), np.float64) / 255
    ours = render(gaussians, CameraTensors.from_cameras([camera]), background=torch.ones(3)).rgb[0].numpy()
    psnr = -10 * np.log10(((ours - theirs) ** 2).mean())
    assert psnr > 40 > -10 * np.log10(((ours[::-1] - theirs) ** 2).mean()), psnr
