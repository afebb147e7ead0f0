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

  // Asks for the tiles that there can be and no others: "reach" are columns and rows at the largest zoom, and columns
  // go on over the world's edge where the map does. (Leaflet's own option "bounds" ends there.)
  const Tiles = L.TileLayer.extend({
    getTileUrl: function (tile) {
      const { reach: [left, top, right, bottom], maxNativeZoom } = this.options;
      const size = 2 ** (maxNativeZoom - tile.z), world = 2 ** tile.z, column = ((tile.x % world) + world) % world;
      const within = (place, first, last) => place >= Math.floor(first / size) && place < Math.ceil(last / size);
      const there = within(tile.y, top, bottom) && (within(column, left, right) || within(column + world, left, right));
      return there ? L.TileLayer.prototype.getTileUrl.call(this, tile) : blank;
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

  const doubt = find("doubt");
  find("doubts").hidden = !veils.length;
  function veil(wanted) {
    doubt.checked = wanted;
    for (const one of veils) { if (wanted) one.addTo(map); else one.remove(); }
  }
  doubt.addEventListener("change", () => veil(doubt.checked));

  // Fits at any zoom; from there on, the map goes by whole zooms, at which tiles are sharp.
  function whole() {
    const { top, bottom, left, right } = panel.around(), snap = map.options.zoomSnap;
    map.options.zoomSnap = 0;
    map.fitBounds(bounds, { paddingTopLeft: [left, top], paddingBottomRight: [right, bottom] });
    map.options.zoomSnap = snap;
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

  if (!placed()) whole();
  map.on("moveend", place);
  window.addEventListener("hashchange", placed);
  if (shown.length > 1) clip();
})();
