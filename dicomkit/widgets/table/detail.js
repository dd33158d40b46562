// What a row opens to, below the table: facts with their whole text, which can be selected and copied.

class RowsDetail {
  constructor(id, onClose, onCopied) {
    this.onClose = onClose;
    this.onCopied = onCopied;
    this.title = make("strong", { class: "dk-rows-detail-title" });
    this.facts = make("dl", { class: "dk-rows-facts" });
    this.el = make(
      "section",
      { id, class: "dk-rows-detail", "aria-label": "Details", tabindex: "0" },
      make(
        "div",
        { class: "dk-rows-detail-head" },
        this.title,
        make("span", { class: "dk-spring" }),
        button("\u2715", "Close (Escape)", onClose, { "aria-label": "Close details" }),
      ),
      this.facts,
    );
    this.el.hidden = true;
    this.el.addEventListener("keydown", (event) => {
      if (event.key === "Escape") {
        event.stopPropagation();
        onClose();
      }
    });
  }

  show(facts) {
    this.el.hidden = facts.length === 0;
    this.title.textContent = facts.length ? facts[0].text : "";
    this.el.setAttribute("aria-label", `Details: ${this.title.textContent}`);
    this.facts.replaceChildren(...facts.slice(1).flatMap((fact) => this.fact(fact)));
  }

  fact(fact) {
    const text = make("span", { class: fact.is_code ? "dk-rows-code" : null, "data-tone": fact.tone || null }, fact.text);
    const value = make("dd", {}, text);
    if (fact.can_copy) value.append(this.copyButton(fact));
    return [make("dt", {}, fact.label), value];
  }

  copyButton({ label, text }) {
    const onClick = async () => {
      const isCopied = await copyText(text);
      element.textContent = isCopied ? "Copied" : "Not allowed";
      this.onCopied(isCopied ? `${label} copied` : "The browser does not allow to copy");
    };
    const element = button("Copy", null, onClick, { class: "dk-button dk-rows-copy", "aria-label": `Copy ${label}` });
    return element;
  }
}
