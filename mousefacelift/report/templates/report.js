for (const box of document.querySelectorAll(".viewer")) {
  const data = JSON.parse(box.querySelector(".splats").textContent), canvas = box.querySelector("canvas");
  const moment = box.querySelector("[name=moment]"), arm = box.querySelector("[name=arm]");
  const fill = (select, names) => names.forEach((name, value) => select.add(new Option(name, value)));
  fill(moment, data.moments); fill(arm, data.arms);
  const viewer = splatViewer(canvas, data.zoom);
  if (!viewer) { canvas.replaceWith("This browser has no WebGL 2."); continue; }
  const splatOf = () => data.splats[`${arm.value}/${moment.value}`];
  function choose() { // an arm that did not answer this moment cannot be chosen
    for (const option of arm.options) option.disabled = !data.splats[`${option.value}/${moment.value}`];
    if (!splatOf()) arm.value = [...arm.options].find(option => !option.disabled).value;
    viewer.show(splatOf());
  }
  moment.addEventListener("change", choose); arm.addEventListener("change", choose);
  choose();
}
function openAsked() { // a link to a folded part opens it
  const part = location.hash && document.getElementById(location.hash.slice(1));
  if (part && part.tagName === "DETAILS") { part.open = true; part.scrollIntoView(); }
}
window.addEventListener("hashchange", openAsked);
openAsked();
