// What the keyboard does, and the table that says so: whatever a pointer can do has a key, so that nobody needs one.

const KEYS = [
  ["← → or ↑ ↓, wheel", "previous and next frame"],
  ["Page Up, Page Down", "ten frames"],
  ["Home, End", "first and last frame"],
  ["Space", "film"],
  ["Shift + ← →, drag across", "window narrower, wider"],
  ["Shift + ↑ ↓, drag up and down", "brighter, darker"],
  ["+ −, Ctrl + wheel", "zoom"],
  ["0, double click", "fit"],
  ["1", "one pixel for one"],
  ["W A S D, Shift + drag", "move the picture"],
  ["I", "invert"],
  ["O", "overlays"],
  ["R", "reset the window"],
  ["P", "probe: arrows move it, Esc leaves"],
];
const WINDOW_STEP = 20;
const PAN_STEP = 30;
const ZOOM_STEP = 1.25;

function keysTable() {
  const rows = KEYS.map(([key, does]) => make("tr", {}, make("th", { scope: "row", text: key }), make("td", { text: does })));
  return make("div", { class: "dk-keys", role: "group", "aria-label": "Keys", hidden: "" }, make("table", {}, ...rows));
}

/** What a key does in a view; null for keys that are not ours. */
function actionFor({ key, shiftKey }, view) {
  const { store, stage } = view;
  const arrow = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[key];
  if (arrow && stage.probe) return () => view.moveProbe(arrow, shiftKey ? 10 : 1);
  if (arrow && shiftKey) {
    if (stage.frame?.kind !== "grey") return null;
    return () => stage.windowBy(stage.window(), arrow[0] * WINDOW_STEP, -arrow[1] * WINDOW_STEP);
  }
  if (arrow) return () => view.step(arrow[0] + arrow[1]);
  const actions = {
    PageUp: () => view.step(-10),
    PageDown: () => view.step(10),
    Home: () => view.step(-Infinity),
    End: () => view.step(Infinity),
    " ": () => store.state.frame_count > 1 && store.set({ playing: !store.state.playing }),
    "+": () => stage.zoomBy(ZOOM_STEP),
    "=": () => stage.zoomBy(ZOOM_STEP),
    "-": () => stage.zoomBy(1 / ZOOM_STEP),
    0: () => store.set({ zoom: 0, pan: [0, 0] }),
    1: () => store.set({ zoom: 1, pan: [0, 0] }),
    w: () => stage.panBy(0, PAN_STEP),
    a: () => stage.panBy(PAN_STEP, 0),
    s: () => stage.panBy(0, -PAN_STEP),
    d: () => stage.panBy(-PAN_STEP, 0),
    i: () => store.set({ invert: !store.state.invert }),
    o: () => store.set({ show_overlays: !store.state.show_overlays }),
    r: () => view.resetWindow(),
    p: () => view.setProbe(stage.probe ? null : view.middle()),
    "?": () => view.showKeys(view.keys.hidden),
  };
  if (key === "Escape" && stage.probe) return () => view.setProbe(null);
  if (key === "Escape" && !view.keys.hidden) return () => view.showKeys(false);
  return actions[key] ?? actions[key.toLowerCase()] ?? null;
}
