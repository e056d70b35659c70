// What is behind a submission. Its details lie in compressed texts of about 50 submissions, unpacked when one of them is opened.

const panel = {
  texts: new Map(),

  begin() {
    this.dialog = byId("panel");
    this.box = byId("panel-box");
    this.dialog.addEventListener("close", () => {
      if (board.known(here())) history.replaceState(null, "", location.pathname + location.search);
      this.name = null;
    });
    this.dialog.addEventListener("click", (event) => { if (event.target === this.dialog) this.dialog.close(); });
    this.dialog.addEventListener("keydown", (event) => {
      if (event.target.closest("input, select, textarea") || event.ctrlKey || event.metaKey || event.altKey) return;
      const step = { j: 1, k: -1 }[event.key];
      if (step) this.go(step);
    });
  },

  close() { if (this.dialog.open) this.dialog.close(); },

  unpacked(number) {
    if (!this.texts.has(number)) {
      const packed = document.querySelector(`script[data-chunk="${Number(number)}"]`).textContent.trim();
      const bytes = Uint8Array.from(atob(packed), (letter) => letter.charCodeAt(0));
      this.texts.set(number, new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"))).json());
    }
    return this.texts.get(number);
  },

  async show(name) {
    this.name = name;
    const chunk = board.get(name, "chunk");
    if (!this.dialog.open) this.dialog.showModal();
    if (chunk === null || typeof DecompressionStream === "undefined") {
      const words = "This browser cannot unpack what is kept here: a newer one can, and `aar.py show` says the same.";
      this.box.replaceChildren(this.head(name), make("p", {}, words));
      return;
    }
    const { lines, of } = await this.unpacked(chunk);
    if (this.name !== name) return;  // another was opened meanwhile
    this.box.replaceChildren(this.head(name), ...this.parts(name, of[name], lines));
    this.dialog.scrollTop = 0;
    byId("panel-title").focus({ preventScroll: true });
  },

  go(step) {
    const order = board.found, at = order.indexOf(board.index.get(this.name));
    const next = board.rows[order[at + step]];
    if (at >= 0 && next) location.hash = next[0];
  },

  head(name) {
    const button = (words, label, action) => {
      const made = make("button", { type: "button", class: "quiet", "aria-label": label, title: label }, words);
      made.addEventListener("click", action);
      return made;
    };
    return make("header", { class: "panel-head" },
      make("h2", { id: "panel-title", tabindex: "-1" }, name, " ", make("code", {}, soft(board.get(name, "method")))),
      make("div", {}, button("↑", "the one before in the table (k)", () => this.go(-1)), button("↓", "the next in the table (j)", () => this.go(1)),
        button("✕", "close (Esc)", () => this.dialog.close())));
  },

  parts(name, one, lines) {
    const get = (field) => board.get(name, field);
    const pair = ([label, value]) => make("div", {}, make("dt", {}, label), make("dd", {}, typeof value === "string" ? linked(value) : value));
    const pairs = (rows) => make("dl", { class: "facts" }, rows.map(pair));
    const links = (names) => names.map((to, at) => [at ? ", " : "", make("a", { href: `#${to}` }, to)]);
    const from = [];
    if (one.parents.length) from.push(["parent", links(one.parents)]);
    const inspired = one.inspired.map(([text, to], at) => [at ? ", " : "", to ? make("a", { href: `#${to}` }, text) : text]);
    if (inspired.length) from.push(["inspired by", inspired]);
    if (one.children.length) from.push(["led to", [...links(one.children), one.more ? ` and ${one.more} more` : ""]]);
    if (!one.parents.length) from.push(["parent", "none: a new start"]);
    return [
      make("p", { class: "by" }, make("a", { href: `#agent-${get("agent")}` }, get("agent")), `, ${moment(one.time)}, commit `,
        make("code", {}, one.commit), get("family") ? `, family ${get("family")}` : ""),
      make("p", { class: "idea", dir: "auto" }, one.idea || "Its author said nothing about it."),
      make("p", { class: "verdict-words" }, make("b", {}, one.status), one.track && one.track !== "main" ? `, track ${one.track}` : "",
        get("rank") ? `, rank ${get("rank")}` : "", one.predicted ? `. ${one.predicted}` : ""),
      one.flags.length || one.reasons.length ? make("div", { class: "flagged" }, make("h3", {}, `Flags: ${one.flags.join(", ") || "none"}`),
        make("ul", {}, one.reasons.map((reason) => make("li", {}, linked(reason))))) : "",
      one.error ? make("pre", { class: "error", tabindex: "0" }, one.error) : "",
      pairs(one.facts),
      one.others.length ? this.folded("All its figures", pairs(one.others), false) : "",
      one.sealed.length ? [make("h3", {}, one.control ? "On the sealed part, as a control" : "On the sealed part"), pairs(one.sealed),
        this.folded("All its sealed figures", pairs(one.sealed_others), false)] : "",
      make("h3", {}, "Where it comes from"),
      pairs(from),
      one.posts.length ? [make("h3", {}, "Posts about it"), make("ul", {}, one.posts.map(([post, title, agent, type]) =>
        make("li", {}, make("a", { href: `#post-${post}` }, title), ` ${type} by ${agent}`)))] : "",
      make("h3", {}, "See it, run it"),
      make("ul", { class: "commands" }, one.commands.map(([words, text]) => make("li", {}, words, command(text)))),
      one.diff ? this.folded(`Changes against its parent ${one.parents[0]}`,
        one.diff.length ? this.diff(one.diff, lines) : make("p", {}, "None: the files are the same."), true) : "",
      one.code ? this.folded(`Code${one.cut ? ", its beginning" : ""}`, this.code(one.code, lines), !one.diff)
        : make("p", {}, "Its code is not in the run's repository."),
      one.ledger.length ? this.folded(`Ledger, line${one.ledger.length > 1 ? "s" : ""} ${one.ledger.map(([number]) => number).join(" and ")}`,
        make("div", {}, one.ledger.map(([number, text]) => make("pre", { class: "raw", tabindex: "0", "data-n": number }, text))), false) : "",
      one.sealed_line.length ? this.folded(`Sealed verdict, line ${one.sealed_line[0][0]} of evaluator/sealed.jsonl`,
        make("div", {}, one.sealed_line.map(([number, text]) => make("pre", { class: "raw", tabindex: "0", "data-n": number }, text))), false) : "",
    ].flat(2).filter(Boolean);
  },

  folded(words, inside, open) { return make("details", { open, class: "fold" }, make("summary", {}, words), inside); },

  // A line is [class, text, class, text, ...]; classes are letters and digits of pygments.
  line(parts) {
    const made = [];
    for (let at = 0; at < parts.length; at += 2) made.push(parts[at] ? make("span", { class: parts[at] }, parts[at + 1]) : parts[at + 1]);
    return made;
  },

  code(numbers, lines) {
    const rows = numbers.map((number, at) => make("span", { class: "line", "data-n": at + 1 }, this.line(lines[number]), "\n"));
    return make("pre", { class: "code", tabindex: "0" }, make("code", {}, rows));
  },

  diff(hunks, lines) {
    return make("pre", { class: "code diff", tabindex: "0" }, make("code", {}, hunks.map(([old, fresh, marks, numbers]) => {
      let before = old, after = fresh;
      return [make("span", { class: "line hunk" }, `@@ line ${old} of the parent, ${fresh} of this one\n`), ...numbers.map((number, at) => {
        const mark = marks[at], kind = { "+": "line add", "-": "line del" }[mark] || "line";
        const shown = mark === "-" ? before : after;
        if (mark !== "+") before += 1;
        if (mark !== "-") after += 1;
        return make("span", { class: kind, "data-n": shown, "data-mark": mark }, make("span", { class: "mark" }, mark), this.line(lines[number]), "\n");
      })];
    })));
  },
};
