// Whose keys these are while the focus is in a widget: ours, but for the one that saves the notebook.

const OUR_KEYS = "data-lm-suppress-shortcuts";

/**
 * Keep keys from JupyterLab's commands. What saves goes on to it from outside, or the browser would save the
 * page.
 */
function keepKeys(element) {
  element.setAttribute(OUR_KEYS, "true");
  // It begins to look at what has the focus, and takes the key before it comes to the widget around it.
  element.addEventListener("focusin", (event) => event.target.setAttribute(OUR_KEYS, "true"));
  element.addEventListener("keydown", (event) => {
    if (!(event.ctrlKey || event.metaKey) || event.altKey || event.key.toLowerCase() !== "s") return;
    event.preventDefault();
    element.parentElement?.dispatchEvent(new KeyboardEvent(event.type, event));
  });
}
