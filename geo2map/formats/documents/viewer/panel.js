"use strict";
// What the pages of pictures and of features share: facts, legend and keys.
const panel = (function () {
  const find = (id) => document.getElementById(id);
  const facts = JSON.parse(find("facts").textContent);

  function add(parent, name, text, to) {
    const made = document.createElement(name);
    if (text !== undefined) made.textContent = text;
    parent.append(made);
    return to ? Object.assign(made, to) : made;
  }

  // Entries are pairs of a class and a colour; a class may have several.
  function legend(entries) {
    const classes = new Map();
    for (const [name, colour] of entries) classes.set(name, [...(classes.get(name) || []), colour]);
    find("legend").replaceChildren();
    for (const [name, colours] of classes) {
      const item = add(find("legend"), "li");
      for (const colour of colours) add(item, "i").style.backgroundColor = `rgb(${colour.join(", ")})`;
      item.append(name);
    }
  }

  function help() {
    find("keys").hidden = !find("keys").hidden;
    find("help").setAttribute("aria-expanded", String(!find("keys").hidden));
  }

  function fold() {
    find("panel").hidden = !find("panel").hidden;
    find("panel").style.display = find("panel").hidden ? "none" : "";
  }

  // On a phone the panel begins as its title alone, so that there is a map to see.
  const narrow = window.matchMedia("(max-width: 640px)");
  function unfold(wanted) {
    find("details").hidden = !wanted;
    find("fold").setAttribute("aria-expanded", String(wanted));
  }
  find("fold").addEventListener("click", () => unfold(find("details").hidden));
  unfold(!narrow.matches);

  // Pixels to leave free around the map: it fits beside the panel, on a phone below its title, to which it is folded.
  function makeRoom() {
    const panel = find("panel"), free = { top: 20, bottom: 30, left: 20, right: 20 };
    if (panel.hidden) return free;
    if (!narrow.matches) return { ...free, right: 30 + panel.offsetWidth };
    unfold(false);
    return { ...free, top: 20 + panel.offsetTop + panel.offsetHeight };
  }

  // Groups are [words, {key: action}]: keys that do one thing, in two directions or one.
  function listen(whole, groups) {
    const all = [["the whole map", { 0: whole }], ...groups, ["this panel on and off", { p: fold }]];
    const actions = Object.assign({ "?": help }, ...all.map(([, keys]) => keys));
    for (const [keys, words] of [["+ \u2212 arrows", "zoom and move"],
      ...all.map(([words, keys]) => [Object.keys(keys).join(" "), words])]) {
      add(find("keys"), "dt", keys);
      add(find("keys"), "dd", words);
    }
    find("extent").addEventListener("click", whole);
    find("help").addEventListener("click", help);
    document.addEventListener("keydown", (event) => {
      const typing = event.target instanceof HTMLInputElement && !["range", "checkbox"].includes(event.target.type);
      const choosing = event.target instanceof HTMLSelectElement;
      if (event.ctrlKey || event.altKey || event.metaKey || typing || choosing || !actions[event.key]) return;
      actions[event.key]();
      event.preventDefault();
    });
  }

  return { facts, find, add, legend, listen, makeRoom };
})();
