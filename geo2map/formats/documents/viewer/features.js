"use strict";
(function () {
  const { facts, find, add } = panel, here = new URL(".", document.baseURI).href;
  const opacity = find("opacity"), chooser = find("style");
  const hidden = new Set(facts.below.map((layer) => layer.role));
  let map = null, asked = 0;

  function say(sentence) {
    find("notice").textContent = sentence;
    find("notice").hidden = !sentence;
  }

  // A style as it was written, with this page's tiles, imagery below, and what is switched off.
  function dressed(style) {
    style.sources.map.tiles = [here + facts.tiles];
    const { bounds } = style.sources.map; // where there are tiles
    const below = facts.below.map(({ tiles, role, ...about }) => {
      style.sources[role] = { type: "raster", tileSize: 256, ...about, tiles: [here + tiles], ...(bounds && { bounds }) };
      return { id: role, type: "raster", source: role };
    });
    style.layers.splice(1, 0, ...below);
    for (const layer of style.layers) {
      layer.layout = { ...layer.layout, visibility: shows(layer) ? "visible" : "none" };
      layer.paint = { ...layer.paint, ...faded(layer) };
    }
    return style;
  }
  const shows = (layer) => !hidden.has(layer["source-layer"] || layer.id);
  const faded = (layer) => (layer.type === "raster" ? {} : { [`${layer.type}-opacity`]: Number(opacity.value) / 100 });

  async function choose(name) {
    const { file, legend } = facts.styles.find((style) => style.name === name), turn = ++asked;
    panel.legend(legend);
    try {
      const answer = await fetch(here + file);
      if (!answer.ok) throw new Error(String(answer.status));
      const style = await answer.json();
      if (turn === asked) map.setStyle(dressed(style), { diff: false });
      say("");
    } catch (error) {
      say(`${file}: cannot be read (${error.message}); it belongs beside this page.`);
    }
  }

  function next() {
    chooser.selectedIndex = (chooser.selectedIndex + 1) % chooser.options.length;
    choose(chooser.value);
  }

  function see(percent) {
    opacity.value = String(Math.min(100, Math.max(0, percent)));
    for (const layer of map.getStyle().layers) {
      for (const [name, value] of Object.entries(faded(layer))) map.setPaintProperty(layer.id, name, value);
    }
  }

  function turn(name, on) {
    if (on) hidden.delete(name); else hidden.add(name);
    for (const layer of map.getStyle().layers) {
      map.setLayoutProperty(layer.id, "visibility", shows(layer) ? "visible" : "none");
    }
  }

  const number = (value) => value.toLocaleString("en", { maximumFractionDigits: value < 10 ? 1 : 0 });
  const units = { width: " m", length: " m", area: " m\u00b2", confidence: " %" };
  function spelled(name, value) {
    if (name === "bridged") return value ? "yes: inferred over a gap" : "no";
    return typeof value === "number" ? number(value) + (units[name] || "") : String(value);
  }

  // What is at a point of the screen, or a few pixels beside it: lines are thin.
  function tell(point) {
    const near = [[point.x - 4, point.y - 4], [point.x + 4, point.y + 4]];
    const things = [point, near].flatMap((place) => map.queryRenderedFeatures(place));
    const thing = things.find((found) => found.source === "map");
    const words = find("thing").querySelector("dl");
    words.replaceChildren();
    find("thing").hidden = false;
    const title = thing ? thing.properties.class || thing.sourceLayer : "nothing is drawn here";
    find("thing").querySelector("h2").textContent = title;
    for (const [name, value] of Object.entries(thing ? thing.properties : {})) {
      if (name === "class" || name === "in_area" || (name === "bridged" && !value)) continue;
      add(words, "dt", name);
      add(words, "dd", spelled(name, value));
    }
  }

  function whole() { map.fitBounds(facts.bounds, { padding: panel.makeRoom(), duration: 0 }); }

  function controls() {
    for (const { name } of facts.styles) add(chooser, "option", name, { value: name });
    find("styles").hidden = facts.styles.length < 2;
    chooser.addEventListener("change", () => choose(chooser.value));
    find("opacities").hidden = facts.below.length === 0;
    opacity.addEventListener("input", () => see(Number(opacity.value)));
    find("layers").hidden = false;
    for (const name of [...facts.layers, ...hidden]) {
      const label = add(find("layers"), "label");
      const box = add(label, "input", undefined, { type: "checkbox", value: name, checked: !hidden.has(name) });
      label.append(name.replaceAll("_", " "));
      box.addEventListener("change", () => turn(name, box.checked));
    }
    const middle = () => tell(map.project(map.getCenter()));
    const opacities = ["opacity", { ",": () => see(Number(opacity.value) - 10), ".": () => see(Number(opacity.value) + 10) }];
    panel.listen(whole, [
      ["what is in the middle", { i: middle }],
      ...(facts.styles.length > 1 ? [["another style", { s: next }]] : []),
      ...(facts.below.length ? [opacities] : []),
    ]);
  }

  function begin() {
    map = panel.map = new maplibregl.Map({
      container: "map", bounds: facts.bounds, fitBoundsOptions: { padding: panel.makeRoom() },
      hash: true, minZoom: facts.minzoom,
      maxZoom: facts.maxzoom + 2, dragRotate: false, touchPitch: false, pitchWithRotate: false, fadeDuration: 0,
      attributionControl: false, style: { version: 8, sources: {}, layers: [] },
    });
    map.touchZoomRotate.disableRotation();
    map.keyboard.disableRotation();
    map.addControl(new maplibregl.NavigationControl({ showCompass: false }), "top-left");
    map.addControl(new maplibregl.ScaleControl(), "bottom-left");
    map.addControl(new maplibregl.AttributionControl({ compact: false, customAttribution: "MapLibre" }));
    map.on("click", (event) => tell(event.point));
    controls();
    choose(facts.styles[0].name);
  }

  panel.legend(facts.styles[0].legend);
  if (location.protocol === "file:") {
    say(facts.from_disk);
    return;
  }
  try {
    begin();
  } catch (error) {
    say(`The map needs WebGL, which this browser does not offer (${error.message}).`);
  }
})();
