"use strict";
(function () {
  const { facts, find } = panel, swipe = find("swipe"), opacity = find("opacity");
  const blank = "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7";
  const bounds = L.latLngBounds([facts.bounds[1], facts.bounds[0]], [facts.bounds[3], facts.bounds[2]]);
  const [minzoom, maxzoom] = facts.layers.reduce(
    (reach, layer) => [Math.max(reach[0], layer.minzoom), Math.max(reach[1], layer.maxzoom)], [0, 0]);
  const map = L.map("map", { minZoom: minzoom, maxZoom: maxzoom + 3, zoomControl: true });
  map.attributionControl.setPrefix("Leaflet");
  L.control.scale().addTo(map);

  // What a layer has of a tile: columns and rows at its largest zoom ("reach" are those of the whole), null if nothing.
  // Columns go on over the world's edge where the map does.
  function extent(tile, { reach: [left, top, right, bottom], maxNativeZoom }) {
    const size = 2 ** (maxNativeZoom - tile.z), world = 2 ** maxNativeZoom, row = tile.y * size;
    const column = (((tile.x * size) % world) + world) % world;
    for (const first of [column, column + world]) {
      const part = { left: Math.max(left, first), top: Math.max(top, row),
        right: Math.min(right, first + size), bottom: Math.min(bottom, row + size) };
      if (part.left < part.right && part.top < part.bottom) return part;
    }
    return null;
  }

  // Asks for the tiles that there can be and no others. (Leaflet's own option "bounds" ends at the world's edge.)
  const Tiles = L.TileLayer.extend({
    getTileUrl: function (tile) {
      return extent(tile, this.options) ? L.TileLayer.prototype.getTileUrl.call(this, tile) : blank;
    },
  });

  const veiled = facts.layers.filter((layer) => layer.veil), shown = facts.layers.filter((layer) => !layer.veil);
  const layers = [...shown, ...veiled].map((layer, order) => {
    const pane = map.createPane(layer.role);
    pane.style.zIndex = 200 + order;
    if (layer.veil) pane.classList.add("veil");
    const attribution = document.createElement("span");
    attribution.textContent = layer.attribution;
    const tiles = new Tiles(layer.tiles, {
      pane: layer.role, reach: layer.reach, minNativeZoom: layer.minzoom, maxNativeZoom: layer.maxzoom,
      minZoom: minzoom, maxZoom: maxzoom + 3, errorTileUrl: blank, attribution: attribution.innerHTML,
    });
    return order === 0 || layer.role === "map" ? tiles.addTo(map) : tiles;
  });
  if (shown.length > 2) {
    L.control.layers(null, Object.fromEntries(shown.map((layer, order) => [layer.role, layers[order]]))).addTo(map);
  }
  const drawn = layers[shown.length - 1], veils = layers.slice(shown.length);
  if (facts.live) count(facts.live);

  const doubt = find("doubt");
  find("doubts").hidden = !veils.length;
  function veil(wanted) {
    doubt.checked = wanted;
    for (const one of veils) { if (wanted) one.addTo(map); else one.remove(); }
  }
  doubt.addEventListener("change", () => veil(doubt.checked));

  // Fits at any zoom; from there on, the map goes by whole zooms, at which tiles are sharp.
  function whole() {
    const { top, bottom, left, right } = panel.makeRoom(), snap = map.options.zoomSnap;
    map.options.zoomSnap = 0;
    map.fitBounds(bounds, { paddingTopLeft: [left, top], paddingBottomRight: [right, bottom] });
    map.options.zoomSnap = snap;
  }

  // A map that is made on demand opens at the model's zoom, where a tile takes least work, or closer where all fits.
  function open() {
    const { top, bottom, left, right } = panel.makeRoom();
    const close = map.getBoundsZoom(bounds, false, L.point(left + right, top + bottom)) >= maxzoom;
    if (facts.live && !close) map.setView(bounds.getCenter(), maxzoom); else whole();
  }

  // How many of the blocks that the map needs are there. Counted from its tiles: a browser has a few requests under way
  // at a time, so that a server never knows what is wanted. One tile is enough to know that its blocks are drawn.
  function count({ least, span }) {
    const pending = new Map(), done = new Set();
    let timer = null;
    function blocks(tile) {
      const part = tile.z < least ? null : extent(tile, drawn.options), found = [];
      if (!part) return found;
      for (let row = Math.floor(part.top / span); row * span < part.bottom; row += 1) {
        for (let column = Math.floor(part.left / span); column * span < part.right; column += 1) {
          found.push(`${column}/${row}`);
        }
      }
      return found;
    }
    function say() {
      const all = new Set([...done, ...[...pending.values()].flat()]);
      find("drawing").textContent = `drawing ${done.size} of ${all.size} block${all.size === 1 ? "" : "s"}`;
      find("drawing").hidden = false;
    }
    function end(tile, isDone) {
      if (isDone) for (const block of pending.get(tile) || []) done.add(block);
      pending.delete(tile);
      if (pending.size) {
        if (!find("drawing").hidden) say();
        return;
      }
      clearTimeout(timer);
      timer = null;
      done.clear();
      find("drawing").hidden = true;
    }
    drawn.on("tileloadstart", ({ tile, coords }) => {
      const needed = blocks(coords);
      if (!needed.length) return;
      pending.set(tile, needed);
      if (!find("drawing").hidden) say();
      else if (timer === null) timer = setTimeout(say, 400); // tiles from memory come sooner
    });
    drawn.on("tileload tileerror", ({ tile }) => end(tile, true));
    drawn.on("tileabort tileunload", ({ tile }) => end(tile, false));
  }

  // The place is in the address, as #zoom/latitude/longitude, to be passed on.
  function placed() {
    const [zoom, latitude, longitude, ...more] = location.hash.slice(1).split("/").map(Number);
    if (more.length || ![zoom, latitude, longitude].every(Number.isFinite) || Math.abs(latitude) > 90) return false;
    map.setView([latitude, longitude], zoom, { animate: false });
    return true;
  }
  function place() {
    const { lat, lng } = map.getCenter();
    history.replaceState(null, "", `#${Number(map.getZoom().toFixed(2))}/${lat.toFixed(5)}/${lng.toFixed(5)}`);
  }

  let share = 0.5;
  function clip() {
    const corner = map.containerPointToLayerPoint([0, 0]), size = map.getSize();
    const left = corner.x + size.x * share, right = corner.x + size.x, bottom = corner.y + size.y;
    for (const { role } of [shown[shown.length - 1], ...veiled]) {
      map.getPane(role).style.clip = `rect(${corner.y}px, ${right}px, ${bottom}px, ${left}px)`;
    }
    swipe.style.left = `${100 * share}%`;
    swipe.setAttribute("aria-valuenow", String(Math.round(100 * share)));
  }
  function slide(to) { share = Math.min(1, Math.max(0, to)); clip(); }
  if (shown.length > 1) {
    swipe.hidden = false;
    map.on("move zoom zoomend resize", clip);
    swipe.addEventListener("pointerdown", (event) => { swipe.setPointerCapture(event.pointerId); event.preventDefault(); });
    swipe.addEventListener("pointermove", (event) => {
      if (swipe.hasPointerCapture(event.pointerId)) {
        slide((event.clientX - map.getContainer().getBoundingClientRect().left) / map.getSize().x);
      }
    });
    swipe.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: -0.02, ArrowRight: 0.02, Home: -1, End: 1 }[event.key];
      if (step) { slide(share + step); event.preventDefault(); event.stopPropagation(); }
    });
  }

  function see(percent) {
    opacity.value = String(Math.min(100, Math.max(0, percent)));
    drawn.setOpacity(Number(opacity.value) / 100);
  }
  opacity.addEventListener("input", () => see(Number(opacity.value)));

  panel.legend(facts.legend);
  L.DomEvent.disableClickPropagation(find("panel"));
  const slides = ["swipe", { "[": () => slide(share - 0.05), "]": () => slide(share + 0.05) }];
  panel.listen(whole, [
    ["map on and off", { m: () => see(Number(opacity.value) ? 0 : 100) }],
    ...(veils.length ? [["doubt on and off", { d: () => veil(!doubt.checked) }]] : []),
    ["opacity", { ",": () => see(Number(opacity.value) - 10), ".": () => see(Number(opacity.value) + 10) }],
    ...(shown.length > 1 ? [slides] : []),
  ]);

  if (!placed()) open();
  map.on("moveend", place);
  window.addEventListener("hashchange", placed);
  if (shown.length > 1) clip();
})();
