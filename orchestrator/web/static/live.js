// Keeps an open page up to date: the server says that something changed, at most once a second; the view is then
// fetched and morphed. While that fails, the page says why, keeps what it shows, and tries again by itself.
"use strict";

const live = { source: null, isPaused: false, isStale: false, isFetching: false, lookedAt: 0, heardAt: 0, shownAt: null, trouble: "" };
const LEAST_MS = 950, RETRY_MS = 2000, SILENT_MS = 12000, ANSWER_MS = 10000;
const NO_ANSWER = "The server does not answer.", LOGGED_OUT = "You are logged out.";
const WHY = {
  404: "This is not there any more.",
  503: "The server cannot reach its database.",
};

// What an update would take out of somebody's hands: what is typed, chosen, marked, or just being pressed.
const TYPED_IN = "select, textarea, input:not([type=checkbox], [type=radio], [type=file])";

function isInUse() {
  const focused = document.activeElement;
  return !!$("dialog[open]") || !!$(".menu[open]")
    || (view().contains(focused) && focused.matches(TYPED_IN))
    || !!$("button:active, summary:active, label:active, input:active", view())
    || String(getSelection()).length > 0;
}

// A notice stands outside of what is updated, so that it can be read.
const NOTICE_MS = 8000;
const isOpen = () => live.source?.readyState === EventSource.OPEN;
const mayChange = () => !live.isPaused && !isInUse();

// The page as it is now, or what keeps us from it.
async function look(path) {
  try {
    const answer = await fetch(path, { headers: { "HX-Request": "true" }, signal: AbortSignal.timeout(ANSWER_MS) });
    if (new URL(answer.url).pathname === "/login") return { trouble: LOGGED_OUT };
    if (!answer.ok) return { trouble: WHY[answer.status] ?? `The server could not make this page (${answer.status}).` };
    return { text: await answer.text(), trouble: "" };
  } catch { return { trouble: NO_ANSWER }; }
}

async function refresh() {
  const isSoon = performance.now() - live.lookedAt < LEAST_MS;
  // Who uses the page is not disturbed, but told when it has lost its server.
  if (live.isPaused || live.isFetching || isSoon || (isOpen() && !mayChange())) { live.isStale = true; showLive(); return; }
  live.isFetching = true;
  live.isStale = false;
  live.lookedAt = performance.now();
  try {
    const { text, trouble } = await look(view().dataset.live);
    tell(trouble);
    if (text === undefined || !mayChange()) { live.isStale = true; return; }
    const answer = new Response(text, { headers: { "content-type": "text/html" } });
    await htmx.ajax("GET", view().dataset.live, { target: "#view", select: "#view", swap: "outerMorph", fetch: async () => answer });
    live.shownAt = new Date();
    if (performance.now() > NOTICE_MS) $("[data-notice]")?.remove();
  } finally { live.isFetching = false; showLive(); }
}

function tell(trouble) {
  live.trouble = trouble;
  const at = `${live.shownAt.toISOString().slice(11, 19)} UTC`;
  const words = trouble === LOGGED_OUT ? `${trouble} What you see is from ${at}.`
    : trouble && `${trouble} What you see is from ${at}; this page tries again by itself.`;
  const bar = $("[data-lost]");
  bar.hidden = !trouble;
  if ($("[data-lost-words]").textContent !== words) $("[data-lost-words]").textContent = words;
  const login = $("[data-lost-login]");
  login.hidden = trouble !== LOGGED_OUT;
  login.href = `/login?next=${encodeURIComponent(location.pathname + location.search)}`;
  showLive();
}

const STATES = { paused: "Paused", lost: "Not live", live: "Live", held: "Waiting", waiting: "Connecting" };

function stateOfLive() {
  if (live.isPaused) return "paused";
  if (live.trouble) return "lost";
  if (!isOpen()) return "waiting";
  return live.isStale && isInUse() ? "held" : "live";
}

function showLive() {
  const button = $("[data-live-toggle]");
  button.setAttribute("aria-pressed", String(!live.isPaused));
  button.dataset.state = stateOfLive();
  $("[data-live-word]").textContent = STATES[button.dataset.state];
}

function toggleLive() {
  if (!live.source) return;
  live.isPaused = !live.isPaused;
  if (live.isPaused) tell("");
  showLive();
  if (!live.isPaused) refresh();
}

function connect() {
  live.source?.close();
  live.source = new EventSource("/live");
  live.source.addEventListener("change", () => { live.heardAt = performance.now(); refresh(); });
  live.source.addEventListener("open", () => { live.heardAt = performance.now(); showLive(); });
  live.source.addEventListener("error", showLive);
}

// Once a second: what was put off is done, and what should have been heard is asked for.
function tick() {
  if (document.hidden || live.isPaused) return;
  showLive();
  const now = performance.now();
  const isSilent = !isOpen() || now - live.heardAt > SILENT_MS;
  if (!(live.isStale || isSilent) || now - live.lookedAt < RETRY_MS) return;
  // A browser does not come back by itself after a refusal.
  if (live.source.readyState === EventSource.CLOSED && live.trouble !== LOGGED_OUT) connect();
  refresh();
}

// A browser keeps few connections to a server: a page that nobody sees gives its own back.
function follow() {
  live.shownAt = new Date();
  live.lookedAt = performance.now();
  connect();
  addEventListener("pagehide", () => live.source.close());
  addEventListener("pageshow", (event) => { if (event.persisted) connect(); });
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) { live.source.close(); return; }
    connect();
    refresh();
  });
  setInterval(tick, 1000);
}

// A page that could not be made is tried again until it can.
function retry(path) {
  setInterval(async () => { if (!document.hidden && !(await look(path)).trouble) location.reload(); }, RETRY_MS);
}

document.addEventListener("DOMContentLoaded", () => {
  if (view().dataset.again) retry(view().dataset.again);
  if (!$("[data-live-toggle]") || view().dataset.live === undefined) return;
  $("[data-live-toggle]").hidden = false;
  follow();
  showLive();
});
