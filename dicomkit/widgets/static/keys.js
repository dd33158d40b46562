// Whose keys these are while the focus is in a widget: ours, but for the one that saves the notebook.

/** Keep keys from JupyterLab's commands. What saves goes on to it from outside, or the browser would save the page. */
function keepKeys(element) {
  element.setAttribute("data-lm-suppress-shortcuts", "true");
  element.addEventListener("keydown", (event) => {
    if (!(event.ctrlKey || event.metaKey) || event.altKey || event.key.toLowerCase() !== "s") return;
    event.preventDefault();
    element.parentElement?.dispatchEvent(new KeyboardEvent(event.type, event));
  });
}
