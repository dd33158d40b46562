// The bar above: which file the setting is from, and a listing of the kernel's folders to choose another. One
// box holds the name for loading and for saving; what would overwrite a file asks first, in its place.

class FileBar {
  constructor(store, prefix) {
    this.store = store;
    const id = `${prefix}-path`;
    const placeholder = "send-to-pacs.json";
    this.path = textInput("dk-path", { id, placeholder, "aria-describedby": `${id}-says` });
    this.path.addEventListener("keydown", (event) => {
      if (event.key === "Enter") store.act("load", this.path.value);
    });
    this.mark = span("dk-changed", "● not saved");
    const browse = () => store.act(this.listing.hidden ? "load" : "unlist");
    this.browseButton = button("Browse…", "List the folder, to choose a file", browse, {
      "aria-expanded": "false",
      "aria-controls": `${id}-listing`,
    });
    this.saveButton = button("Save", "", () => store.act("save", this.path.value));
    this.bar = make(
      "div",
      { class: "dk-bar", role: "group", "aria-label": "File" },
      make("label", { for: id, class: "dk-muted", text: "File" }),
      this.path,
      this.browseButton,
      button("Load", "Show the setting in this file", () => store.act("load", this.path.value)),
      this.saveButton,
      button("New", "Begin a new setting, with the defaults", () => store.act("new")),
      this.mark,
    );
    this.question = make("div", {
      class: "dk-question",
      role: "alertdialog",
      "aria-label": "Overwrite?",
      hidden: "",
    });
    const region = { role: "region", "aria-label": "Choose a file" };
    this.listing = make("div", { class: "dk-listing", id: `${id}-listing`, ...region, hidden: "" });
    for (const element of [this.question, this.listing]) {
      element.addEventListener("keydown", (event) => {
        if (event.key !== "Escape") return;
        event.stopPropagation();
        store.act(element === this.question ? "keep" : "unlist");
        this.path.focus();
      });
    }
    this.says = make("div", { role: "status", id: `${id}-says` });
    this.element = make("div", {}, this.bar, this.question, this.listing, this.says);
  }

  refresh(state) {
    const { file, refusal } = state;
    if (this.knownPath !== file.path) {
      this.knownPath = file.path;
      this.path.value = file.path;
    }
    this.mark.hidden = !file.is_changed;
    allow(
      this.saveButton,
      !refusal,
      refusal ? `Save waits for this: ${refusal}` : "Write the setting to this file",
    );
    this.browseButton.setAttribute("aria-expanded", String(Boolean(file.listing)));
    this.showQuestion(file.asks);
    this.showListing(file.listing);
    fill(this.says, [file.status, file.says, file.can_undo], () => this.saying(file));
  }

  saying({ status, says, can_undo: canUndo }) {
    if (!says) return [];
    const line = statusLine(status, says);
    const undo = () => this.store.act("undo");
    if (canUndo && status !== "error") {
      line.append(" ", button("Undo", "Put back what was shown before", undo, { class: "dk-place" }));
    }
    return [line];
  }

  showQuestion(path) {
    const isNew = path && this.question.hidden;
    this.question.hidden = !path;
    fill(this.question, path, () => [
      span("", `${path} is there already. Overwrite it?`),
      button("Overwrite", "Replace the file", () => this.store.act("overwrite", path)),
      button("Keep it", "Do not save", () => this.store.act("keep")),
    ]);
    if (isNew && this.bar.contains(document.activeElement)) this.question.lastChild.focus();
  }

  showListing(listing) {
    this.listing.hidden = !listing;
    const isMine = this.listing.contains(document.activeElement);
    fill(this.listing, listing, () => (listing ? this.entries(listing) : []));
    if (!listing || !isMine || this.listing.contains(document.activeElement)) return;
    this.listing.querySelector("button").focus();
  }

  entries({ folder, parent, folders, files, left_out: leftOut }) {
    const entry = (text, path, title, kind) =>
      make(
        "li",
        {},
        button(text, title, () => this.store.act("load", path), { class: `dk-entry dk-entry-${kind}` }),
      );
    const entries = [
      ...(parent === folder ? [] : [entry("..", parent, "The folder above", "folder")]),
      ...folders.map(([name, path]) => entry(`${name}/`, path, `Open ${name}`, "folder")),
      ...files.map(([name, path]) => entry(name, path, `Load ${name}`, "file")),
    ];
    const isEmpty = span("dk-muted", files.length ? "" : "no .json files here");
    const more = leftOut ? `${leftOut} more are not listed; type the name instead.` : "";
    return [
      make("div", { class: "dk-listing-title" }, make("code", { text: folder }), isEmpty),
      make("ul", {}, ...entries),
      make("p", { class: "dk-muted", text: more }),
    ];
  }
}
