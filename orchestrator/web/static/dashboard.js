// What the pages gain with JavaScript: the keyboard, selections, hints on charts. Without it they still read and act.
"use strict";

const $ = (selector, within = document) => within.querySelector(selector);
const $$ = (selector, within = document) => [...within.querySelectorAll(selector)];
const view = () => $("#view");

// Theme
function toggleTheme() {
  const root = document.documentElement;
  const isDark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = isDark ? "light" : "dark";
  try { localStorage.setItem("theme", root.dataset.theme); } catch { /* it lasts for this page */ }
}

// Keyboard
const GOES = { n: "/", j: "/jobs", b: "/batches", d: "/dead-letters", l: "/lanes" };
let isGoing = false;

function rows() { return $$("#view [data-row]"); }

function step(by) {
  const all = rows();
  if (!all.length) return;
  const at = all.findIndex((row) => row.hasAttribute("data-here"));
  const next = all[Math.max(0, Math.min(all.length - 1, at < 0 ? 0 : at + by))];
  all.forEach((row) => row.toggleAttribute("data-here", row === next));
  next.scrollIntoView({ block: "nearest" });
}

const KEYS = {
  "/": () => $("#find").focus(),
  j: () => step(1),
  k: () => step(-1),
  Enter: () => $("[data-here] [data-row-link]")?.click(),
  x: () => $("[data-here] input[type=checkbox]")?.click(),
  p: () => toggleLive(),
  t: toggleTheme,
  "?": () => $("#keys").showModal(),
  g: () => { isGoing = true; setTimeout(() => { isGoing = false; }, 1200); },
};

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") document.activeElement.blur();
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input:not([type=checkbox]), textarea, select")) return;
  if ($("dialog[open]")) return;
  if (isGoing && GOES[event.key]) { location.href = GOES[event.key]; return; }
  if (event.key === "Enter" && event.target.matches("a, button, summary")) return;
  const act = KEYS[event.key];
  if (act) { event.preventDefault(); act(); }
});

// Clicks
document.addEventListener("click", (event) => {
  const at = (selector) => event.target.closest(selector);
  if (at("[data-live-toggle]")) toggleLive();
  if (at("[data-theme-toggle]")) toggleTheme();
  if (at("[data-keys-toggle]")) $("#keys").showModal();
  const copied = at("[data-copy]");
  if (copied) copy(copied);
  const large = at("[data-large]");
  if (large) { event.preventDefault(); $(large.dataset.large).showModal(); }
  if (event.target.matches("dialog")) event.target.close();
  $$(".menu[open]").forEach((menu) => { if (!menu.contains(event.target)) menu.open = false; });
});

async function copy(button) {
  const text = $(button.dataset.copy).textContent;
  await navigator.clipboard.writeText(text);
  const before = button.innerHTML;
  button.textContent = "Copied";
  setTimeout(() => { button.innerHTML = before; }, 1500);
}

// What cannot be taken back is asked for once more.
document.addEventListener("submit", (event) => {
  const form = event.target, ask = event.submitter?.dataset.ask ?? $("option[data-ask]:checked", form)?.dataset.ask ?? form.dataset.ask;
  // The second of two clicks sends nothing.
  if (form.dataset.sent || (ask && !confirm(ask))) { event.preventDefault(); return; }
  if (form.method !== "post") return;
  form.dataset.sent = "true";
  setTimeout(() => { delete form.dataset.sent; }, 3000);
});

// Selections: the tool bar shows itself when something is selected.
document.addEventListener("change", (event) => {
  if (event.target.matches("[data-select-all]"))
    $$("[data-select]").forEach((box) => { box.checked = event.target.checked; });
  if (event.target.matches("[data-select], [data-select-all]")) showSelection();
  if (event.target.matches("[data-auto]")) event.target.form.requestSubmit();
});

function showSelection() {
  const count = $$("[data-select]:checked").length;
  $$("[data-selection]").forEach((bar) => { bar.dataset.count = String(count); });
  $$("[data-selection-count]").forEach((word) => { word.textContent = String(count); });
}

// Hints on charts
const tip = document.createElement("div");
tip.className = "tip";
tip.hidden = true;

function showHint(event) {
  const hit = event.target.closest?.(".hit");
  $$(".hit.at").forEach((old) => { if (old !== hit) old.classList.remove("at"); });
  tip.hidden = !hit;
  if (!hit) return;
  hit.classList.add("at");
  const title = $("title", hit);
  if (title) { hit.dataset.hint = title.textContent; title.remove(); }
  tip.textContent = hit.dataset.hint;
  const left = Math.min(innerWidth - tip.offsetWidth - 12, Math.max(12, event.clientX - tip.offsetWidth / 2));
  tip.style.left = `${left}px`;
  tip.style.top = `${Math.max(8, event.clientY - tip.offsetHeight - 14)}px`;
}

document.addEventListener("pointermove", showHint);

// What a provider keeps no longer is shown as such.
document.addEventListener("error", (event) => { if (event.target.matches("img")) event.target.dataset.gone = ""; }, true);

// Files dropped on a form
document.addEventListener("dragover", (event) => { if (event.target.closest("[data-drop]")) event.preventDefault(); });
document.addEventListener("drop", (event) => {
  const zone = event.target.closest("[data-drop]");
  if (!zone) return;
  event.preventDefault();
  const input = $("input[type=file]", zone);
  input.files = event.dataTransfer.files;
  input.dispatchEvent(new Event("change", { bubbles: true }));
});

document.addEventListener("change", (event) => {
  const name = event.target.matches("[data-file]") && $("[data-file-name]", event.target.closest("[data-drop]"));
  if (name) name.textContent = [...event.target.files].map((file) => file.name).join(", ") || "No file is chosen.";
});

document.addEventListener("DOMContentLoaded", () => {
  document.body.append(tip);
  $(".side [aria-current]")?.scrollIntoView({ inline: "center", block: "nearest" });
  if (!$("[data-live-toggle]")) return;
  $$("[data-theme-toggle], [data-keys-toggle]").forEach((button) => { button.hidden = false; });
});
document.addEventListener("htmx:after:swap", showSelection);
// A browser that goes back ticks the boxes again.
addEventListener("pageshow", showSelection);
