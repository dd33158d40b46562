// Elements and sentences, for every part of the form.
//
// Strategy: whatever comes from a file or a peer becomes text by textContent, never markup.

let formCount = 0;

function button(text, title, onClick, attributes = {}) {
  const element = make("button", { type: "button", class: "dk-button", text, title, ...attributes });
  element.addEventListener("click", () => {
    // A button that waits can still be reached by keyboard, so that its reason can be read.
    if (element.getAttribute("aria-disabled") !== "true") onClick();
  });
  return element;
}

function allow(element, isAllowed, title) {
  element.setAttribute("aria-disabled", String(!isAllowed));
  element.title = title;
}

function sentence({ message, remedy }) {
  return `${message.charAt(0).toUpperCase()}${message.slice(1)}; ${remedy}.`;
}

/** Replace what is in `element` only when it is about something else: a live region reads every change aloud. */
function fill(element, about, build) {
  const key = JSON.stringify(about);
  if (element.dataset.about === key) return;
  element.dataset.about = key;
  element.replaceChildren(...build());
}
