// What the bars of a batch and of a step have in common: notes and buttons as the kernel words them, and its
// silence. Every state is whole, so a bar keeps nothing but its elements; what has not changed is left alone,
// so that the keyboard's place and what is being typed stay, and nothing is read aloud twice.

const PATIENCE_MS = 5000;

class Bar {
  /**
   * Sentences say what to do: `silent` when the kernel does not answer, `parted` when it knows the bar no
   * more.
   */
  constructor(model, { silent, parted }) {
    this.model = model;
    this.notes = make("div", { role: "status" }, statusLine("", "Waiting for the kernel …"));
    this.silent = silent;
    this.parted = parted;
  }

  /** Put the element into the page, and ask the kernel what to show. */
  open(element, el) {
    this.element = element;
    keepKeys(element);
    el.append(element);
    this.patience = setTimeout(() => this.warn(this.silent), PATIENCE_MS);
    this.kernel = new Kernel(
      this.model,
      (message) => this.hear(message),
      () => this.warn(this.parted),
    );
    this.kernel.say({ kind: "hello" });
  }

  close() {
    clearTimeout(this.patience);
    this.kernel.close();
    this.element.remove();
  }

  hear(message) {
    if (message.kind !== "state") return;
    clearTimeout(this.patience);
    this.show(message);
  }

  press(act, label, text = "") {
    this.kernel.say({ kind: "press", act, label, text });
  }

  warn(says) {
    this.notes.replaceChildren(statusLine("warning", says));
    delete this.notes.dataset.about;
  }

  showNotes(notes) {
    fill(this.notes, notes, () => notes.map(({ says, kind }) => statusLine(kind, says)));
  }

  /**
   * The same buttons keep their elements while their labels change, so that the keyboard stays where it is.
   */
  showButtons(box, buttons) {
    const hadFocus = box.contains(document.activeElement);
    fill(
      box,
      buttons.map(({ act }) => act),
      () =>
        buttons.map(({ act }, place) =>
          button("", "", () => this.press(act, box.children[place].textContent)),
        ),
    );
    buttons.forEach(({ label, title, is_allowed: isAllowed, is_main: isMain }, place) => {
      const element = box.children[place];
      element.classList.toggle("dk-main", isMain);
      if (element.textContent !== label) element.textContent = label;
      allow(element, isAllowed, title);
    });
    if (hadFocus && !box.contains(document.activeElement)) box.firstElementChild?.focus();
  }
}
