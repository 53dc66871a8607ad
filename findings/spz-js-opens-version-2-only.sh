#!/usr/bin/env bash
# SPZ is four formats under one name. spz-js 1.2.5 (npm's newest, "based on the original C++ library") opens version 2 only: a file of
# version 3 (what writers of 2025 make) or 4 (the newest) ends in a TypeError about null. splat-transform 3.7.0 opens all three.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv venv; venv/bin/pip install -q "gsply==0.4.6" "zstandard==0.25.0" "numpy==2.4.6"
npm install --silent --no-audit --no-fund --ignore-scripts --prefix . spz-js@1.2.5 @playcanvas/splat-transform@3.7.0 > /dev/null
venv/bin/python - <<'P'
import gsply, gzip, numpy as np, struct
n = 20
rng = np.random.default_rng(0)
quats = rng.normal(size=(n, 4)).astype(np.float32); quats /= np.linalg.norm(quats, axis=1, keepdims=True)
data = gsply.GSData(means=rng.normal(size=(n, 3)).astype(np.float32), scales=np.full((n, 3), -3, np.float32), quats=quats,
                    opacities=np.full(n, 2, np.float32), sh0=np.zeros((n, 3), np.float32), shN=np.zeros((n, 0, 3), np.float32))
for version in (3, 4):
    gsply.write_spz(f"v{version}.spz", data, version=version)
plain = gzip.decompress(open("v3.spz", "rb").read())  # version 2 differs by its number and by one byte per rotation component
begin = 16 + n * (9 + 1 + 3 + 3)
upright = quats * np.where(quats[:, :1] < 0, -1, 1)
turns = np.clip(np.rint(upright[:, 1:] * 127.5 + 127.5), 0, 255).astype(np.uint8).tobytes()
open("v2.spz", "wb").write(gzip.compress(plain[:4] + struct.pack("<I", 2) + plain[8:begin] + turns))
P
cat > read.mjs <<'P'
import { readFileSync } from "fs"; import { loadSpz } from "spz-js";
console.error = () => {};
let opened = [];
for (const version of [2, 3, 4]) {
  try { const g = await loadSpz(readFileSync(`v${version}.spz`)); opened.push(version); console.log(`spz-js 1.2.5, version ${version}: ${g.numPoints} points`); }
  catch (error) { console.log(`spz-js 1.2.5, version ${version}: ${error}`); }
}
if (opened.join() !== "2") throw new Error(`spz-js now opens versions ${opened}`);
P
node read.mjs
for version in 2 3 4; do
  node node_modules/@playcanvas/splat-transform/bin/cli.mjs -w v$version.spz out$version.csv > /dev/null 2>&1
  echo "splat-transform 3.7.0, version $version: $(($(wc -l < out$version.csv) - 1)) points"
done
