// What the keyboard does, and the table that says so: whatever a pointer can do has a key, so that nobody
// needs one.

const WINDOW_STEP = 20;
const PAN_STEP = 30;
const ZOOM_STEP = 1.25;

const zoomIn = ({ stage }) => stage.zoomBy(ZOOM_STEP);
const film = ({ store }) => store.frameCount > 1 && store.toggle("playing");
const probe = (view) => view.setProbe(view.stage.probe ? null : view.middle());

// What is pressed, what it does in words, and what each key does in a view; arrows are in `actionFor`.
const KEYS = [
  ["← → or ↑ ↓, wheel after a click", "previous and next frame"],
  [
    "Page Up, Page Down",
    "ten frames",
    { PageUp: (view) => view.step(-10), PageDown: (view) => view.step(10) },
  ],
  [
    "Home, End",
    "first and last frame",
    { Home: (view) => view.step(-Infinity), End: (view) => view.step(Infinity) },
  ],
  ["Space", "film", { " ": film }],
  ["Shift + ← →, drag across", "window narrower, wider"],
  ["Shift + ↑ ↓, drag up and down", "brighter, darker"],
  [
    "+ −, Ctrl + wheel after a click",
    "zoom",
    { "+": zoomIn, "=": zoomIn, "-": ({ stage }) => stage.zoomBy(1 / ZOOM_STEP) },
  ],
  ["0, double click", "fit", { 0: ({ store }) => store.zoomTo(0) }],
  ["1", "one pixel for one", { 1: ({ store }) => store.zoomTo(1) }],
  [
    "W A S D, Shift + drag",
    "move the picture",
    {
      w: ({ stage }) => stage.panBy(0, PAN_STEP),
      a: ({ stage }) => stage.panBy(PAN_STEP, 0),
      s: ({ stage }) => stage.panBy(0, -PAN_STEP),
      d: ({ stage }) => stage.panBy(-PAN_STEP, 0),
    },
  ],
  ["I", "invert", { i: ({ store }) => store.toggle("invert") }],
  ["O", "overlays", { o: ({ store }) => store.toggle("show_overlays") }],
  ["R", "reset the window", { r: (view) => view.resetWindow() }],
  ["P", "probe: arrows move it, Esc leaves", { p: probe }],
];
const ACTIONS = Object.assign(
  { "?": (view) => view.showKeys(view.keys.hidden) },
  ...KEYS.map(([, , actions]) => actions),
);

function keysTable() {
  const rows = KEYS.map(([key, does]) =>
    make("tr", {}, make("th", { scope: "row", text: key }), make("td", { text: does })),
  );
  return make(
    "div",
    { class: "dk-keys", role: "group", "aria-label": "Keys", hidden: "" },
    make("table", {}, ...rows),
  );
}

/** What a key does in a view; null for keys that are not ours. */
function actionFor({ key, shiftKey }, view) {
  const { stage } = view;
  const arrow = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[key];
  if (arrow && stage.probe) return () => view.moveProbe(arrow, shiftKey ? 10 : 1);
  if (arrow && shiftKey) {
    if (stage.frame?.kind !== "grey") return null;
    return () => stage.windowBy(stage.window(), arrow[0] * WINDOW_STEP, -arrow[1] * WINDOW_STEP);
  }
  if (arrow) return () => view.step(arrow[0] + arrow[1]);
  if (key === "Escape" && stage.probe) return () => view.setProbe(null);
  if (key === "Escape" && !view.keys.hidden) return () => view.showKeys(false);
  const action = ACTIONS[key] ?? ACTIONS[key.toLowerCase()];
  return action ? () => action(view) : null;
}
