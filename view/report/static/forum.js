// The forum: threads are built from data when they are shown or opened, 40 at a time. The first stand in the HTML already.

const forum = {
  begin() {
    const { fields, shown, threads } = data("forum-data");
    this.at = Object.fromEntries(fields.map((name, number) => [name, number]));
    this.threads = threads;
    this.step = shown;
    this.list = byId("forum-list");
    if (!this.list) return;
    this.where = new Map();
    threads.forEach((thread, number) => thread.forEach((post) => this.where.set(post[0], number)));
    const { agent, type, title, submission, words } = this.at;
    const searched = [title, words, agent, submission, type];
    this.words = threads.map((thread) => thread.map((post) => searched.map((at) => post[at]).join("\n").toLowerCase()));
    this.last = threads.map((thread) => thread.reduce((time, post) => (post[this.at.time] > time ? post[this.at.time] : time), ""));
    this.found = threads.map((_, number) => number);
    this.matching = null;
    this.count = this.list.children.length;
    const change = () => this.choose();
    byId("forum-query").addEventListener("input", debounced(change, 150));
    for (const id of ["forum-type", "forum-order"]) byId(id).addEventListener("change", change);
    byId("forum-tools").addEventListener("submit", (event) => event.preventDefault());
    byId("forum-tools").addEventListener("reset", () => setTimeout(change));
    byId("forum-more").addEventListener("click", () => this.more());
    byId("forum-more").hidden = this.count >= this.found.length;
  },

  choose() {
    const words = byId("forum-query").value.toLowerCase().split(/\s+/).filter(Boolean);
    const type = byId("forum-type").value, order = byId("forum-order").value;
    const fits = (thread, at) =>
      (!type || this.threads[thread][at][this.at.type] === type) && words.every((word) => this.words[thread][at].includes(word));
    this.matching = words.length || type ? fits : null;
    const hits = this.threads.map((thread, number) => (this.matching ? thread.filter((_, at) => fits(number, at)).length : thread.length));
    this.found = [...this.threads.keys()].filter((number) => hits[number]);
    if (order === "new") this.found.sort((a, b) => (this.last[a] < this.last[b] ? 1 : this.last[a] > this.last[b] ? -1 : b - a));
    if (order === "long") this.found.sort((a, b) => this.threads[b].length - this.threads[a].length || a - b);
    const posts = this.found.reduce((sum, number) => sum + hits[number], 0);
    byId("forum-count").textContent = `${posts.toLocaleString("en")} posts in ${this.found.length.toLocaleString("en")} threads`;
    this.list.replaceChildren();
    this.count = 0;
    this.more();
    if (!posts) this.list.append(make("p", {}, "No post fits. Clear the search to see all."));
  },

  more() {
    const next = this.found.slice(this.count, this.count + this.step);
    this.list.append(...next.map((number, at) => this.thread(number, this.matching ? at < 8 && !this.count : at === 0 && !this.count)));
    this.count += next.length;
    byId("forum-more").hidden = this.count >= this.found.length;
  },

  thread(number, open) {
    const posts = this.threads[number], first = posts[0], get = (name) => first[this.at[name]];
    const made = make("details", { class: "thread", open }, make("summary", {}, make("span", { class: "thread-title" }, get("title")), " ",
      make("span", { class: "by" }, get("agent"), posts.length > 1 ? `, ${posts.length} posts` : "")));
    const matching = this.matching;
    const fill = () => {
      if (made.open && made.children.length === 1) made.append(...posts.map((post, at) => this.post(post, matching && !matching(number, at))));
    };
    made.addEventListener("toggle", fill);
    Object.assign(made, { number, fill });
    fill();
    return made;
  },

  post(post, aside) {
    const get = (name) => post[this.at[name]];
    const made = make("article", { class: aside ? "post aside" : "post", id: `post-${get("name")}` },
      make("header", {}, make("span", { class: "type", "data-type": get("type") }, get("type")), " ",
        make("h3", { class: "post-title" }, get("title")),
        make("p", { class: "by" }, `${get("agent")}, `, make("time", {}, moment(get("time"))),
          get("submission") ? [", about ", make("a", { href: `#${get("submission")}` }, get("submission"))] : "")),
      get("figures") ? make("p", { class: "measured" }, linked(get("figures"))) : "",
      make("div", { class: "words", dir: "auto" }, linked(get("words"))));
    made.style.setProperty("--depth", get("depth"));
    return made;
  },

  // Opens the thread of a post, alone where it is not among those that are shown.
  open(name) {
    if (!this.list || !this.where.has(name)) return;
    if (!byId(`post-${name}`)) {
      const closed = [...this.list.children].find((one) => one.number === this.where.get(name));
      if (!closed) {
        this.matching = null;
        this.found = [this.where.get(name)];
        this.count = 0;
        this.list.replaceChildren();
        this.more();
        byId("forum-count").textContent = `1 thread of ${this.threads.length.toLocaleString("en")}; clear the search to see all`;
      } else {
        closed.open = true;
        closed.fill();
      }
    }
    byId(`post-${name}`).closest("details").open = true;
  },
};
