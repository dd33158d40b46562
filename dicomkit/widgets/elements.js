// Elements that all widgets are made of. Whatever comes from a file or a peer becomes text by textContent or
// a text node, never markup.

/**
 * An element with attributes and children; the attribute `text` becomes its text, and one that is null is
 * left out.
 */
function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "text") element.textContent = value;
    else if (value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

function button(text, title, onClick, attributes = {}) {
  const element = make("button", { type: "button", class: "dk-button", text, title, ...attributes });
  element.addEventListener("click", () => {
    // A button that waits can still be reached by keyboard, so that its reason can be read.
    if (element.getAttribute("aria-disabled") !== "true") onClick();
  });
  return element;
}

/** Words in a line; without a text they come later. */
function span(classes, text = "") {
  return make("span", { class: classes || null, text });
}

/** What happened, in words; its kind is "done", "warning", "error" or none. */
function statusLine(kind, text) {
  return make("div", { class: "dk-status", "data-kind": kind || null }, span("", text));
}

/** A box to type a line into, or several. */
function textInput(classes, attributes = {}, isLong = false) {
  const plain = { autocomplete: "off", spellcheck: "false", ...(isLong ? { rows: "2" } : { type: "text" }) };
  return make(isLong ? "textarea" : "input", { ...plain, class: `dk-input ${classes}`, ...attributes });
}

function allow(element, isAllowed, title) {
  element.setAttribute("aria-disabled", String(!isAllowed));
  element.title = title;
}

/**
 * Replace what is in `element` only when it is about something else: a live region reads every change aloud.
 */
function fill(element, about, build) {
  const key = JSON.stringify(about);
  if (element.dataset.about === key) return;
  element.dataset.about = key;
  element.replaceChildren(...build());
}

/** Say in a status region what happened, as a `statusLine` does. */
function sayIn(region, kind, text) {
  fill(region, [kind, text], () => (text ? [span("", text)] : []));
  if (kind) region.dataset.kind = kind;
  else delete region.dataset.kind;
}

/** What calls once it has been quiet for a while; `now` does not wait, `stop` forgets. */
function whenQuiet(milliseconds, call) {
  let timer = 0;
  const stop = () => clearTimeout(timer);
  const later = () => {
    stop();
    timer = setTimeout(call, milliseconds);
  };
  const now = () => {
    stop();
    call();
  };
  return { later, now, stop };
}

/**
 * What a front end loads of a widget: a view for each place where it is shown, of one store where views share
 * it.
 */
function viewsOf(View, Store = null) {
  return () => {
    let store = null;
    return {
      initialize({ model }) {
        if (!Store) return undefined;
        store = new Store(model);
        return () => store.close();
      },
      render({ model, el }) {
        const view = new View(store ?? model, el);
        return () => view.close();
      },
    };
  };
}
