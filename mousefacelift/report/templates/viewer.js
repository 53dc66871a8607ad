"use strict";
// A turnable Gaussian splat in WebGL 2. Each Gaussian is a quad; covariances are projected in the vertex shader (EWA), quads are
// drawn back to front. World Z is up, cameras look at the origin. Drag turns, wheel and two fingers zoom, arrow keys turn.
function splatViewer(canvas, zoom) {
  const gl = canvas.getContext("webgl2", { antialias: false, preserveDrawingBuffer: true });
  if (!gl) return null;
  const vertex = `#version 300 es
  precision highp float; precision highp int;
  uniform sampler2D data; uniform mat4 view; uniform vec2 focal, size; uniform int width;
  in vec2 corner; in uint index; out vec4 colour; out vec2 offset;
  vec4 at(int k) { int i = int(index) * 4 + k; return texelFetch(data, ivec2(i % width, i / width), 0); }
  void main() {
    vec4 a = at(0), b = at(1), c = at(2), d = at(3);
    vec3 p = (view * vec4(a.xyz, 1.0)).xyz;
    gl_Position = vec4(0.0, 0.0, 2.0, 1.0);
    if (p.z < 0.2) return;
    mat3 sigma = mat3(a.w, b.x, b.y, b.x, b.z, b.w, b.y, b.w, c.x), r = mat3(view);
    mat3 j = mat3(focal.x / p.z, 0.0, 0.0, 0.0, focal.y / p.z, 0.0, -focal.x * p.x / (p.z * p.z), -focal.y * p.y / (p.z * p.z), 0.0);
    mat3 t = j * r; mat3 cov = t * sigma * transpose(t);
    float xx = cov[0][0] + 0.3, yy = cov[1][1] + 0.3, xy = cov[0][1];
    float mid = 0.5 * (xx + yy), gap = sqrt(max(0.01, mid * mid - (xx * yy - xy * xy)));
    float l1 = mid + gap, l2 = max(mid - gap, 0.05);
    vec2 axis = abs(xy) > 1e-6 ? normalize(vec2(xy, l1 - xx)) : (xx >= yy ? vec2(1.0, 0.0) : vec2(0.0, 1.0));
    vec2 px = focal * p.xy / p.z + 3.0 * (corner.x * sqrt(l1) * axis + corner.y * sqrt(l2) * vec2(-axis.y, axis.x));
    gl_Position = vec4(2.0 * px.x / size.x, -2.0 * px.y / size.y, 0.0, 1.0);
    colour = vec4(c.yzw, d.x); offset = 3.0 * corner;
  }`;
  const fragment = `#version 300 es
  precision highp float; in vec4 colour; in vec2 offset; out vec4 result;
  void main() { float alpha = min(0.999, colour.a * exp(-0.5 * dot(offset, offset)));
    if (alpha < 0.0039) discard; result = vec4(colour.rgb * alpha, alpha); }`;
  const program = gl.createProgram();
  for (const [kind, text] of [[gl.VERTEX_SHADER, vertex], [gl.FRAGMENT_SHADER, fragment]]) {
    const shader = gl.createShader(kind); gl.shaderSource(shader, text); gl.compileShader(shader);
    if (!gl.getShaderParameter(shader, gl.COMPILE_STATUS)) throw new Error(gl.getShaderInfoLog(shader));
    gl.attachShader(program, shader);
  }
  gl.bindAttribLocation(program, 0, "corner"); gl.bindAttribLocation(program, 1, "index"); gl.linkProgram(program); gl.useProgram(program);
  gl.bindTexture(gl.TEXTURE_2D, gl.createTexture());
  gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MIN_FILTER, gl.NEAREST); gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MAG_FILTER, gl.NEAREST);
  gl.bindBuffer(gl.ARRAY_BUFFER, gl.createBuffer());
  gl.bufferData(gl.ARRAY_BUFFER, new Float32Array([-1, -1, 1, -1, -1, 1, 1, 1]), gl.STATIC_DRAW);
  gl.enableVertexAttribArray(0); gl.vertexAttribPointer(0, 2, gl.FLOAT, false, 0, 0);
  gl.bindBuffer(gl.ARRAY_BUFFER, gl.createBuffer());
  gl.enableVertexAttribArray(1); gl.vertexAttribIPointer(1, 1, gl.UNSIGNED_INT, 0, 0); gl.vertexAttribDivisor(1, 1);
  gl.disable(gl.DEPTH_TEST); gl.enable(gl.BLEND); gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA); gl.clearColor(1, 1, 1, 1);
  const uniform = name => gl.getUniformLocation(program, name), WIDTH = 2048;
  gl.uniform1i(uniform("width"), WIDTH);
  let azimuth = 4.7, elevation = 0.26, distance = 2.7, pending = false, count = 0, means = new Float32Array(0);

  function unpack(splat) { // see report/pack.py: planes of means, logarithms of scales, quaternions, colours with opacity
    const bytes = Uint8Array.from(atob(splat.data), c => c.charCodeAt(0)), n = splat.count;
    const place = new Uint16Array(bytes.buffer, 0, 3 * n), scales = bytes.subarray(6 * n, 9 * n);
    const quats = new Int8Array(bytes.buffer, 9 * n, 4 * n), colours = bytes.subarray(13 * n, 17 * n);
    const texels = new Float32Array(WIDTH * Math.ceil(n * 4 / WIDTH) * 4);
    means = new Float32Array(3 * n); count = n;
    for (let i = 0; i < n; i++) {
      for (let k = 0; k < 3; k++) means[3 * i + k] = splat.low[k] + splat.span[k] * place[3 * i + k] / 65535;
      const s = [0, 1, 2].map(k => Math.exp(splat.scales[0] + (splat.scales[1] - splat.scales[0]) * scales[3 * i + k] / 255));
      let [w, x, y, z] = quats.subarray(4 * i, 4 * i + 4); const norm = Math.hypot(w, x, y, z) || 1;
      w /= norm; x /= norm; y /= norm; z /= norm;
      const r = [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y), 2 * (x * y + w * z), 1 - 2 * (x * x + z * z),
        2 * (y * z - w * x), 2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)];
      const cov = (a, b) => r[3 * a] * r[3 * b] * s[0] * s[0] + r[3 * a + 1] * r[3 * b + 1] * s[1] * s[1] + r[3 * a + 2] * r[3 * b + 2] * s[2] * s[2];
      const c = colours.subarray(4 * i, 4 * i + 4);
      texels.set([means[3 * i], means[3 * i + 1], means[3 * i + 2], cov(0, 0), cov(0, 1), cov(0, 2), cov(1, 1), cov(1, 2), cov(2, 2),
        c[0] / 255, c[1] / 255, c[2] / 255, c[3] / 255], i * 16);
    }
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA32F, WIDTH, texels.length / 4 / WIDTH, 0, gl.RGBA, gl.FLOAT, texels);
  }
  function viewMatrix() { // OpenCV axes: x right, y down, z forward
    const ca = Math.cos(azimuth), sa = Math.sin(azimuth), ce = Math.cos(elevation), se = Math.sin(elevation);
    const f = [-ce * ca, -ce * sa, -se], r = [-sa, ca, 0], d = [f[1] * r[2] - f[2] * r[1], f[2] * r[0] - f[0] * r[2], f[0] * r[1] - f[1] * r[0]];
    return [r[0], d[0], f[0], 0, r[1], d[1], f[1], 0, r[2], d[2], f[2], 0, 0, 0, distance, 1];
  }
  function backToFront(view) { // counting sort by depth in 65536 steps
    const depth = new Float32Array(count); let low = Infinity, high = -Infinity;
    for (let i = 0; i < count; i++) { const z = depth[i] = Math.fround(view[2] * means[3 * i] + view[6] * means[3 * i + 1] + view[10] * means[3 * i + 2]);
      if (z < low) low = z; if (z > high) high = z; }
    const starts = new Uint32Array(65537), step = 65535 / Math.max(high - low, 1e-9), order = new Uint32Array(count);
    const bin = i => Math.floor((high - depth[i]) * step);
    for (let i = 0; i < count; i++) starts[bin(i) + 1]++;
    for (let i = 0; i < 65536; i++) starts[i + 1] += starts[i];
    for (let i = 0; i < count; i++) order[starts[bin(i)]++] = i;
    return order;
  }
  function draw() {
    pending = false;
    const ratio = window.devicePixelRatio || 1, w = canvas.width = Math.round(canvas.clientWidth * ratio), h = canvas.height = Math.round(canvas.clientHeight * ratio);
    if (!w || !h) return;
    const view = viewMatrix(), focal = 1.0722 * zoom * Math.min(w, 1.1 * h);
    gl.bufferData(gl.ARRAY_BUFFER, backToFront(view), gl.DYNAMIC_DRAW);
    gl.viewport(0, 0, w, h); gl.clear(gl.COLOR_BUFFER_BIT);
    gl.uniformMatrix4fv(uniform("view"), false, view); gl.uniform2f(uniform("focal"), focal, focal); gl.uniform2f(uniform("size"), w, h);
    gl.drawArraysInstanced(gl.TRIANGLE_STRIP, 0, 4, count);
  }
  const redraw = () => { if (!pending) { pending = true; requestAnimationFrame(draw); } };
  const turn = (across, up) => { azimuth -= across; elevation = Math.max(-1.5, Math.min(1.5, elevation + up)); redraw(); };
  const approach = factor => { distance = Math.max(0.8, Math.min(8, distance * factor)); redraw(); };
  const fingers = new Map();
  canvas.addEventListener("pointerdown", e => { fingers.set(e.pointerId, [e.clientX, e.clientY]); canvas.setPointerCapture(e.pointerId); });
  for (const name of ["pointerup", "pointercancel"]) canvas.addEventListener(name, e => fingers.delete(e.pointerId));
  canvas.addEventListener("pointermove", e => {
    const before = fingers.get(e.pointerId); if (!before) return;
    const apart = () => { const [a, b] = [...fingers.values()]; return Math.hypot(a[0] - b[0], a[1] - b[1]); };
    const gap = fingers.size === 2 ? apart() : 0;
    fingers.set(e.pointerId, [e.clientX, e.clientY]);
    if (fingers.size === 1) turn((e.clientX - before[0]) * 0.01, (e.clientY - before[1]) * 0.01);
    else if (gap) approach(gap / Math.max(apart(), 1));
  });
  canvas.addEventListener("wheel", e => { e.preventDefault(); approach(Math.exp(e.deltaY * 0.001)); }, { passive: false });
  canvas.addEventListener("keydown", e => {
    const step = { ArrowLeft: [-0.1, 0], ArrowRight: [0.1, 0], ArrowUp: [0, 0.1], ArrowDown: [0, -0.1] }[e.key];
    if (step) { e.preventDefault(); turn(...step); }
  });
  new ResizeObserver(redraw).observe(canvas);
  return { show(splat) { unpack(splat); redraw(); } };
}
