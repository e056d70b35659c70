// The table of all submissions: sorted, searched and shown by the page. The first rows stand in the HTML already.

const board = {
  begin() {
    const { columns, fields, rows, page, bar, idea } = data("table-data");
    this.columns = columns.map(([key, title, number, down]) => ({ key, title, number, down }));
    this.at = Object.fromEntries(fields.map((name, number) => [name, number]));
    this.page = page;
    this.bar = bar;
    this.ends = idea;
    this.rows = rows;
    this.index = new Map(rows.map((row, number) => [row[0], number]));
    const searched = ["submission", "agent", "method", "idea", "family", "track", "status", "flags"].map((name) => this.at[name]);
    this.words = rows.map((row) => searched.map((at) => row[at]).join(" ").toLowerCase());
    this.sorted = { key: "rank", down: false };
    this.filters = {};
    this.first = 0;
    this.body = document.querySelector("#board tbody");
    this.body.querySelectorAll("tr").forEach((row) => row.removeAttribute("id"));  // here #s0012 opens what is behind the row
    this.tools = byId("board-tools");
    this.listen();
    this.choose(false);
  },

  known(name) { return this.index.has(name); },
  get(name, field) { return this.rows[this.index.get(name)][this.at[field]]; },

  listen() {
    const query = byId("board-query");
    query.addEventListener("input", debounced(() => this.choose(), 60));
    this.tools.addEventListener("submit", (event) => event.preventDefault());
    this.tools.addEventListener("reset", () => setTimeout(() => this.choose()));
    this.tools.querySelectorAll("[data-filter]").forEach((field) => field.addEventListener("change", () => this.choose()));
    byId("board-sort").addEventListener("change", (event) => this.sort(event.target.value));
    document.querySelectorAll("#board th[data-key] button").forEach((button) =>
      button.addEventListener("click", () => this.sort(button.parentElement.dataset.key)));
    byId("board-pager").addEventListener("click", (event) => {
      const button = event.target.closest("[data-step]");
      if (button) { this.first += this.page * Number(button.dataset.step); this.draw(); }
    });
    this.body.addEventListener("click", (event) => {
      const row = event.target.closest("tr");
      const name = row && row.querySelector("th");
      if (name && !event.target.closest("a") && getSelection().isCollapsed) location.hash = name.textContent;
    });
    document.querySelectorAll("[data-agent]").forEach((button) => button.addEventListener("click", () => {
      this.tools.reset();
      this.tools.querySelector("[data-filter=agent]").value = button.dataset.agent;
      this.choose();
      byId("leaderboard").scrollIntoView();
    }));
  },

  sort(key) {
    const column = this.columns.find((one) => one.key === key);
    this.sorted = { key, down: this.sorted.key === key ? !this.sorted.down : column.down };
    this.choose();
  },

  // What a column sorts by, worked out once: figures as they are, texts so that agent-10 comes behind agent-9.
  keys(key) {
    this.made = this.made || {};
    if (!this.made[key]) {
      const at = this.at[key], number = this.columns.find((one) => one.key === key).number;
      const plain = (text) => text.toLowerCase().replace(/\d+/g, (digits) => digits.padStart(8, "0"));
      this.made[key] = this.rows.map((row) => (row[at] === null || row[at] === "" ? null : number ? row[at] : plain(row[at])));
    }
    return this.made[key];
  },

  choose(draw = true) {
    const words = byId("board-query").value.toLowerCase().split(/\s+/).filter(Boolean);
    const chosen = [...this.tools.querySelectorAll("[data-filter]")].filter((one) => one.value);
    const filters = chosen.map((one) => [this.at[one.dataset.filter], one.value]);
    const found = [];
    this.rows.forEach((row, number) => {
      if (filters.every(([at, value]) => row[at] === value) && words.every((word) => this.words[number].includes(word))) found.push(number);
    });
    const { key, down } = this.sorted;
    if (key !== "rank" || down) {
      const keys = this.keys(key), sign = down ? -1 : 1;
      found.sort((a, b) => {  // what has no figure comes last both ways; equal ones stay in the order of the leaderboard
        const x = keys[a], y = keys[b];
        if (x === null || y === null) return (x === null) - (y === null) || a - b;
        return x < y ? -sign : x > y ? sign : a - b;
      });
    }
    this.found = found;
    this.first = 0;
    if (draw) this.draw(); else this.tellPlace();
  },

  draw() {
    const shown = this.found.slice(this.first, this.first + this.page);
    this.body.replaceChildren(...shown.map((number) => this.row(this.rows[number])));
    const none = "Nothing fits. Clear the search to see all.";
    if (!shown.length) this.body.append(make("tr", {}, make("td", { colspan: this.columns.length, class: "none" }, none)));
    this.tellPlace();
  },

  tellPlace() {
    const { found, first, page } = this, pages = Math.max(1, Math.ceil(found.length / page)), now = first / page;
    const some = found.length === this.rows.length ? "" : ` of ${this.rows.length.toLocaleString("en")}`;
    const part = pages > 1 ? `, ${first + 1} to ${Math.min(first + page, found.length)} shown` : "";
    byId("board-count").textContent = `${found.length.toLocaleString("en")}${some} submissions${part}`;
    byId("board-page").textContent = `page ${now + 1} of ${pages}`;
    byId("board-pager").hidden = pages === 1;
    const [before, after] = byId("board-pager").querySelectorAll("button");
    before.disabled = now === 0;
    after.disabled = now + 1 >= pages;
    byId("board-sort").value = this.sorted.key;
    document.querySelectorAll("#board th[data-key]").forEach((head) =>
      head.setAttribute("aria-sort", head.dataset.key !== this.sorted.key ? "none" : this.sorted.down ? "descending" : "ascending"));
  },

  row(row) {
    return make("tr", {}, this.columns.map((column) => this.cell(row, column)));
  },

  // An idea without its middle; the whole is behind the row.
  cut(text) {
    const all = [...text], [head, tail] = this.ends;
    if (all.length <= head + tail + 3) return text;
    return `${all.slice(0, head).join("").replace(/ [^ ]*$/, "")} … ${all.slice(-tail).join("").replace(/^[^ ]* /, "")}`;
  },

  // As view/report/table.py makes the first page.
  cell(row, { key, title, number }) {
    const about = { class: `c-${key}${number ? " num" : ""}`, "data-label": title };
    const value = row[this.at[key]], get = (name) => row[this.at[name]], signed = (name) => figure(get(name), 2, true);
    if (key === "submission") return make("th", { scope: "row", ...about }, make("a", { href: `#${value}` }, value));
    const cell = make("td", about);
    if (key === "pgr" && value === null) {
      cell.append(get("status") === "scored" ? "n/a" : get("status"));
    } else if (key === "pgr") {
      const [from, to] = this.bar;
      const share = (end) => `${(100 * (Math.min(Math.max(end, from), to) - from) / (to - from)).toFixed(1)}%`;
      const bar = make("span", { class: "bar" });
      bar.style.setProperty("--from", share(get("low") ?? value));
      bar.style.setProperty("--to", share(get("high") ?? value));
      cell.append(bar, `${figure(value)} `, make("span", { class: "interval" }, `[${figure(get("low"))}, ${figure(get("high"))}]`));
    } else if (key === "lift" && value !== null) {
      cell.append(`${signed("lift")} `, make("span", { class: "interval" }, `[${signed("lift_low")}, ${signed("lift_high")}]`));
    } else if (key === "idea" || key === "flags" || key === "method") {
      cell.append(make("span", { class: "clip" }, key === "method" ? soft(value) : key === "idea" ? this.cut(value) : value));
    } else if (value === null) {
      cell.append(key === "rank" ? "–" : "");
    } else {
      const shown = { at: duration, seconds: (time) => figure(time, 1), rank: String, draws: String }[key] || (number ? figure : String);
      cell.append(shown(value));
    }
    return cell;
  },
};
