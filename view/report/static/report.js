"use strict";
// What the other scripts stand on: elements made of text nodes (no HTML is ever written), the theme, copying, contents, tabs, and
// where an address within the page (#s0012, #post-..., #agent-...) leads to.

const byId = (id) => document.getElementById(id);
const data = (id) => JSON.parse(byId(id).textContent);

// An element. Attributes that are null are left out; children are nodes, or texts.
function make(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value !== null && value !== undefined && value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat(2).filter((child) => child !== null && child !== undefined && child !== ""));
  return element;
}

function tell(words) {
  byId("told").textContent = "";
  setTimeout(() => { byId("told").textContent = words; }, 30);
}

const debounced = (action, wait) => {
  let timer = 0;
  return () => { clearTimeout(timer); timer = setTimeout(action, wait); };
};

const figure = (value, digits = 2, signed = false) =>
  value === null || value === undefined ? "n/a" : (signed && value >= 0 ? "+" : "") + value.toFixed(digits);

function duration(seconds) {
  const two = (number) => String(Math.floor(number)).padStart(2, "0");
  if (seconds < 60) return `${seconds}s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)}m${two(seconds % 60)}s`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)}h${two((seconds % 3600) / 60)}m`;
  return `${Math.floor(seconds / 86400)}d${two((seconds % 86400) / 3600)}h`;
}

const moment = (time) => time.replace("T", " ").replace("Z", " UTC");

// Text in which submissions that exist are links.
function linked(text) {
  const parts = [];
  let last = 0;
  for (const found of text.matchAll(/\bs\d{4,}\b/g)) {
    if (!board.known(found[0])) continue;
    parts.push(text.slice(last, found.index), make("a", { href: `#${found[0]}` }, found[0]));
    last = found.index + found[0].length;
  }
  return [...parts, text.slice(last)];
}

// A name that may be broken behind its underscores.
const soft = (text) => text.split(/(?<=_)/).flatMap((part, at) => (at ? [make("wbr"), part] : [part]));

const kept = {  // a browser may forbid it to a file
  get(name) { try { return localStorage.getItem(name); } catch { return null; } },
  set(name, value) { try { localStorage.setItem(name, value); } catch { /* it holds for this visit only */ } },
};

const theme = {
  chosen: kept.get("aar-theme"),
  dark() { return this.chosen ? this.chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches; },
  show() {
    if (this.chosen) document.documentElement.dataset.theme = this.chosen;
    const button = byId("theme");
    if (!button) return;
    button.textContent = this.dark() ? "Light" : "Dark";
    button.setAttribute("aria-label", `${this.dark() ? "Light" : "Dark"} colours`);
    button.setAttribute("aria-pressed", String(this.dark()));
  },
  turn() {
    this.chosen = this.dark() ? "light" : "dark";
    kept.set("aar-theme", this.chosen);
    this.show();
  },
};
if (theme.chosen !== "dark" && theme.chosen !== "light") theme.chosen = null;
theme.show();  // before anything is drawn
document.documentElement.classList.add("js");

async function copy(button) {
  const text = button.dataset.copy, said = button.textContent;
  try {
    await navigator.clipboard.writeText(text);
    button.textContent = "copied";
    tell("copied");
  } catch {  // not allowed here: it is selected, so that a key copies it
    getSelection().selectAllChildren(button.previousElementSibling);
    button.textContent = "selected";
    tell("selected");
  }
  setTimeout(() => { button.textContent = said; }, 1600);
}

function command(text) {
  return make("span", { class: "command" }, make("code", {}, text),
    make("button", { type: "button", class: "copy quiet", "data-copy": text, "aria-label": `Copy ${text}` }, "copy"));
}

// Figures that show the same over several axes become tabs; without this script they stand one under the other.
function makeTabs(box) {
  const figures = [...box.querySelectorAll(":scope > figure")];
  const list = make("div", { role: "tablist", class: "tablist", "aria-label": "Over what" });
  const choose = (chosen, focus) => figures.forEach((one, at) => {
    const tab = list.children[at];
    one.classList.toggle("off", at !== chosen);
    tab.setAttribute("aria-selected", String(at === chosen));
    tab.tabIndex = at === chosen ? 0 : -1;
    if (at === chosen && focus) tab.focus();
  });
  figures.forEach((one, at) => {
    const axis = one.dataset.name.replace(/^[a-z]+-/, "");
    const name = { seconds: "time", "compute-seconds": "compute time" }[axis] || axis.replaceAll("-", " ");
    const tab = make("button", { type: "button", role: "tab", id: `tab-${one.dataset.name}`, "aria-controls": one.id }, name);
    tab.addEventListener("click", () => choose(at));
    tab.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (step) choose((at + step + figures.length) % figures.length, true);
    });
    one.setAttribute("role", "tabpanel");
    one.setAttribute("aria-labelledby", tab.id);
    list.append(tab);
  });
  box.prepend(list);
  box.choose = (figure) => choose(figures.indexOf(figure));
  choose(0);
}

function followContents() {
  const links = new Map([...document.querySelectorAll("nav.side a")].map((link) => [link.hash.slice(1), link]));
  const seen = new Set();
  const watch = new IntersectionObserver((entries) => {
    for (const entry of entries) seen[entry.isIntersecting ? "add" : "delete"](entry.target.id);
    const first = [...links.keys()].find((name) => seen.has(name));
    if (!first) return;
    for (const [name, link] of links) {
      if (name === first) link.setAttribute("aria-current", "true"); else link.removeAttribute("aria-current");
    }
  }, { rootMargin: "-10% 0px -70% 0px" });
  for (const name of links.keys()) watch.observe(byId(name));
}

// Where the address leads: a submission opens over the page, a post may lie in a thread that is not shown yet.
function here() {
  try { return decodeURIComponent(location.hash.slice(1)); } catch { return ""; }
}

function arrive() {
  const name = here();
  if (board.known(name)) { panel.show(name); return; }
  panel.close();
  if (name.startsWith("post-")) forum.open(name.slice(5));
  const figure = name.startsWith("chart-") ? byId(name) : null;
  if (figure && figure.parentElement.choose) figure.parentElement.choose(figure);
  const target = byId(name);
  if (target && name) target.scrollIntoView();
}

document.addEventListener("DOMContentLoaded", () => {
  theme.show();
  byId("theme").addEventListener("click", () => theme.turn());
  document.querySelectorAll(".tabs").forEach(makeTabs);
  board.begin();
  forum.begin();
  panel.begin();
  followContents();
  addEventListener("hashchange", arrive);
  if (location.hash) arrive();
  document.addEventListener("click", (event) => {
    const button = event.target.closest("button.copy");
    if (button) copy(button);
    const link = event.target.closest("a[href^='#']");
    if (link && link.getAttribute("href") === location.hash) arrive();  // the same address again changes nothing, and tells nobody
    if (event.target.closest("nav.fold a")) document.querySelector("nav.fold details").open = false;
  });
  document.addEventListener("keydown", (event) => {
    const typing = event.target.closest("input, select, textarea");
    if (event.key === "/" && !typing && !byId("panel").open && !event.ctrlKey && !event.metaKey) {
      event.preventDefault();
      byId("leaderboard").scrollIntoView();
      byId("board-query").focus();
    }
  });
  addEventListener("beforeprint", () => document.querySelectorAll("details.thread").forEach((one) => { one.open = true; }));
});
