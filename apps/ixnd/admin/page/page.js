// The operator's page: shows what /v1/live says, and follows to the other node when this one is gone.
"use strict";

const KEPT = 150; // seconds of a queue that are drawn
const SILENT_MS = 3000;
const WORKERS_MS = 3000;
const WORKERS_MAX = 60; // shown; ixnctl has all
const bases = [location.origin]; // admin ports, this one first; the other as soon as it is known
let at = 0; // the one in use
let token = sessionStorage.getItem("token") || "";
let seen = null; // the last status
let before = null; // the one before it, for rates
let history = new Map(); // depth by queue
let asked = { epoch: -1 };

const $ = (id) => document.getElementById(id);

function make(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key === "class") element.className = value;
    else element.setAttribute(key, value);
  }
  element.append(...children);
  return element;
}

function duration(seconds) {
  if (seconds < 1) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 120) return `${Math.round(seconds)} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172800) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86400)} days`;
}

const whole = (number) => Math.round(number).toLocaleString("en");

// ---- Asking ----

function headers(more = {}) {
  return token ? { ...more, Authorization: `Bearer ${token}` } : more;
}

async function ask(path, options = {}) {
  const answer = await fetch(bases[at] + path, {
    ...options, cache: "no-store", headers: headers(options.headers),
    signal: AbortSignal.timeout(10000),
  });
  if (answer.status === 401) {
    askToken(token ? "This token is not known." : "");
    throw new Error("no token");
  }
  const body = await answer.json();
  if (!answer.ok) throw new Error(body.error ? body.error.sentence : `status ${answer.status}`);
  return body;
}

function post(path, body) {
  return ask(path, {
    method: "POST", body: JSON.stringify(body), headers: { "Content-Type": "application/json" },
  });
}

// Reads one stream until it ends, is silent for too long, or fails.
async function listen(base) {
  const stop = new AbortController();
  let timer = setTimeout(() => stop.abort(), SILENT_MS);
  try {
    const answer = await fetch(`${base}/v1/live`, {
      headers: headers(), cache: "no-store", signal: stop.signal,
    });
    if (answer.status === 401) {
      askToken(token ? "This token is not known." : "");
      return;
    }
    if (!answer.ok) return;
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      clearTimeout(timer);
      timer = setTimeout(() => stop.abort(), SILENT_MS);
      text += value;
      const events = text.split("\n\n");
      text = events.pop();
      for (const event of events) take(event);
    }
  } catch {
    // gone; the caller goes on elsewhere
  } finally {
    clearTimeout(timer);
  }
}

function take(event) {
  const line = event.split("\n").find((part) => part.startsWith("data: "));
  if (line) show(JSON.parse(line.slice(6)));
}

const pause = (ms) => new Promise((done) => setTimeout(done, ms));

async function follow() {
  for (;;) {
    await listen(bases[at]);
    if ($("ask-token").open) {
      await new Promise((done) => $("ask-token").addEventListener("close", done, { once: true }));
      continue;
    }
    at = (at + 1) % bases.length;
    setVerdict("warn", bases.length > 1 ? "Following to the other node …" : "Connecting …");
    await pause(300);
  }
}

// ---- Showing ----

function setVerdict(kind, text) {
  $("verdict").className = `verdict ${kind}`;
  if ($("verdict").textContent !== text) $("verdict").textContent = text;
  document.title = `${kind === "good" ? "" : "! "}ixn`;
}

function verdictOf(status) {
  if (!status.primary) return ["bad", "Nobody serves"];
  if (status.ready) return ["good", `Ready: ${status.primary} serves`];
  return ["warn", `${status.primary} serves alone`];
}

function badge(kind, text) {
  return make("span", { class: `badge ${kind}` }, text);
}

function fact(list, name, value) {
  list.append(make("dt", {}, name), make("dd", {}, value));
}

function dapItem(dap) {
  const item = make("li", {}, make("span", {}, dap.name),
    dap.proven ? badge("good", "proven") : badge("bad", dap.reachable ? "not proven" : "away"),
    make("span", { class: "quiet" }, dap.reachable ? duration(dap.latency_seconds) : ""));
  if (dap.trouble) item.append(make("span", { class: "trouble" }, dap.trouble));
  return item;
}

function nodeCard(node, pair, own) {
  const serves = node.role.startsWith("primary");
  const well = serves || node.ready;
  const facts = make("dl", { class: "facts" });
  fact(facts, "Readiness", serves ? "serves" : node.ready ? "could take over now"
    : node.readiness || "not heard");
  if (own) {
    fact(facts, "In this role for", duration(pair.role_since_seconds));
    fact(facts, "Why", pair.role_reason);
  } else {
    fact(facts, "Heard", pair.link ? "now" : `${duration(pair.link_silent_seconds)} ago`);
  }
  fact(facts, "Log", `index ${whole(node.index)}`);
  if (!node.automatic) fact(facts, "Take-over", "paused or manual");
  const daps = make("ul", { class: "daps", "aria-label": `Access points of ${node.name}` },
    ...node.daps.map(dapItem));
  return make("article", { class: serves ? "card serves" : "card" },
    make("header", {}, make("h3", {}, node.name || "the other node"),
      badge(well ? "good" : "bad", node.role)), facts, daps);
}

function rate(name) {
  const now = seen.of_primary, then = before && before.of_primary;
  const seconds = before ? (Date.parse(seen.at) - Date.parse(before.at)) / 1000 : 0;
  if (!now || !then || seconds <= 0 || now[name] < then[name]) return "–";
  return `${whole((now[name] - then[name]) / seconds)}/s`;
}

function tile(name, value) {
  return make("div", {}, make("dt", {}, name), make("dd", {}, value));
}

function bytes(count) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let at = 0;
  for (; count >= 1024 && at < units.length - 1; at++) count /= 1024;
  return `${at ? count.toFixed(1) : count} ${units[at]}`;
}

// What a node last heard of the other one is a little old: none is behind by less than nothing.
function lag(pair) {
  if (!pair || !pair.peer || !pair.link) return "–";
  const ahead = pair.own.index - pair.peer.index;
  const entries = Math.max(0, pair.own.role.startsWith("primary") ? ahead : -ahead);
  if (!entries || pair.lag_bytes === null) return whole(entries);
  return `${whole(entries)} (${bytes(pair.lag_bytes)})`;
}

function showFlow() {
  const figures = seen.of_primary || {};
  $("rates").replaceChildren(
    tile("Submitted", rate("submitted")), tile("Dispatched", rate("dispatched")),
    tile("Completed", rate("completed")),
    tile("Unfinished", whole(figures.interactions || 0)),
    tile("Routers", whole(figures.routers || 0)), tile("Clients", whole(figures.clients || 0)),
    tile("Entries behind", lag(seen.pair)));
}

function spark(values) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  const top = Math.max(1, ...values);
  const drawn = Math.max(values.length, 30);
  const step = 100 / (drawn - 1);
  const points = values.map((value, i) =>
    `${((drawn - values.length + i) * step).toFixed(1)},${(28 - 26 * value / top).toFixed(1)}`);
  svg.setAttribute("class", "spark");
  svg.setAttribute("viewBox", "0 0 100 30");
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", `from ${values[0]} to ${values.at(-1)}, most ${Math.max(...values)}`);
  path.setAttribute("d", points.length > 1 ? `M${points.join("L")}` : "");
  svg.append(path);
  return svg;
}

function queueRow(queue, then) {
  const key = `${queue.tenant}/${queue.name}`;
  const values = history.get(key) || [];
  values.push(queue.waiting);
  if (values.length > KEPT) values.shift();
  history.set(key, values);
  const seconds = before ? (Date.parse(seen.at) - Date.parse(before.at)) / 1000 : 0;
  const speed = (name) => then && seconds > 0 && queue[name] >= then[name]
    ? `${whole((queue[name] - then[name]) / seconds)}/s` : "–";
  const number = (text) => make("td", { class: "number" }, text);
  const label = queue.tenant === "default" ? queue.name : `${queue.tenant} / ${queue.name}`;
  const bad = queue.quarantined ? badge("bad", whole(queue.quarantined)) : "0";
  const row = make("tr", {}, make("th", { scope: "row" }, label), number(whole(queue.waiting)),
    make("td", {}, spark(values)),
    number(queue.waiting ? duration(queue.oldest_seconds) : "–"), number(speed("entered")),
    number(speed("left")), number(whole(queue.routing)), number(whole(queue.held)), number(bad));
  if (!queue.reason) return [row];
  return [row, make("tr", { class: "why" },
    make("td", { colspan: "9" }, make("div", { class: "reason" }, queue.reason)))];
}

function showQueues() {
  if (!seen.queues || seen.queues.length === 0) {
    $("queue-rows").replaceChildren(make("tr", {}, make("td", { colspan: "9", class: "quiet" },
      seen.primary ? "Asking what the queues hold …"
        : "Nobody serves, so nobody knows what the queues hold.")));
    return;
  }
  const then = new Map((before && before.queues ? before.queues : [])
    .map((queue) => [`${queue.tenant}/${queue.name}`, queue]));
  $("queue-rows").replaceChildren(...seen.queues.flatMap((queue) =>
    queueRow(queue, then.get(`${queue.tenant}/${queue.name}`))));
}

// Of a router the strategies that it gets work of, and why not of the others.
function routerItem(router) {
  const has = router.strategies.filter((one) => one.takes_part).map((one) => one.strategy);
  const not = router.strategies.find((one) => one.reason);
  const item = make("li", {}, make("b", {}, router.name),
    router.drained ? badge("warn", "router, drained") :
      router.connected ? badge("good", "router") : badge("bad", "router, away"),
    make("span", { class: "quiet" }, `${whole(router.pending)} of ` +
      `${whole(router.max_submitted_interactions)} at work; ` +
      (has.length ? has.join(", ") : "no strategy")));
  if (router.drained) item.append(make("span", { class: "reason" },
    `drained by ${router.drained_by}: ${router.drain_reason}`));
  else if (not) item.append(make("span", { class: "reason" }, `${not.strategy}: ${not.reason}`));
  return item;
}

function serverItem(server) {
  const kind = server.type.replace("application_", "").replace("_", " ");
  const state = !server.connected ? ["bad", `${kind}, away`]
    : server.breaker === "closed" ? ["good", kind] : ["warn", `${kind}, ${server.breaker}`];
  const item = make("li", {}, make("b", {}, server.name), badge(...state),
    make("span", { class: "quiet" }, `${whole(server.in_flight)} of ${whole(server.window)} in ` +
      `flight; ${whole(server.answered)} answered, ${whole(server.faults)} faults, ` +
      `${whole(server.timeouts)} too late`));
  if (server.note) item.append(make("span", { class: "reason" }, server.note));
  return item;
}

function clusterItem(cluster) {
  const well = cluster.usable === cluster.members.length;
  return make("li", {}, make("b", {}, cluster.name),
    badge(well ? "good" : cluster.usable ? "warn" : "bad", "cluster"),
    make("span", { class: "quiet" }, `${cluster.usable} of ${cluster.members.length} can be used; ` +
      `${whole(cluster.waiting)} wait`));
}

async function showWorkers() {
  for (;; await pause(WORKERS_MS)) {
    if (!seen || !seen.primary || document.hidden || $("ask-token").open) continue;
    try {
      const [routers, applications] = await Promise.all([ask("/v1/routers"),
        ask("/v1/applications")]);
      const items = [...routers.routers.map(routerItem), ...applications.servers.map(serverItem),
        ...applications.clusters.map(clusterItem)];
      const more = items.length - WORKERS_MAX;
      if (more > 0) items.splice(WORKERS_MAX, more, make("li", { class: "quiet" },
        `and ${whole(more)} more`));
      if (items.length === 0) items.push(make("li", { class: "quiet" }, "There are none."));
      $("workers").replaceChildren(...items);
    } catch {
      // the stream says what is the matter; asked again
    }
  }
}

// Asked again whenever the epoch has changed: that is what makes a new line of it.
async function showHistory() {
  const epoch = seen.pair ? seen.pair.epoch : -1;
  if (epoch === asked.epoch) return;
  asked = { epoch };
  try {
    const { roles } = await ask("/v1/history?limit=12");
    $("history").replaceChildren(...roles.map((role) => make("li", {}, make("b", {}, role.owner),
      make("span", {}, role.reason),
      make("span", { class: "quiet" },
        `epoch ${role.epoch}, since ${role.started_at.slice(0, 19).replace("T", " ")}` +
        (role.ended_at ? `, for ${duration(role.seconds)}` : "")))));
    if (roles.length && roles[0].epoch < epoch) asked = { epoch: -1 };
  } catch {
    asked = { epoch: -1 };
  }
}

function show(status) {
  before = seen;
  seen = status;
  const pair = status.pair;
  setVerdict(...verdictOf(status));
  $("source").textContent = `as ${status.node} sees it, ${status.at.slice(11, 19)} UTC`;
  if (pair) {
    const other = pair.peer && pair.peer.admin_url;
    if (other && !bases.includes(other)) bases.splice(1, 1, other);
    const cards = [nodeCard(pair.own, pair, true)];
    if (pair.peer) cards.push(nodeCard(pair.peer, pair, false));
    cards.sort((a, b) => a.querySelector("h3").textContent < b.querySelector("h3").textContent
      ? -1 : 1);
    $("nodes").replaceChildren(...cards);
  }
  $("switchover").disabled = !status.ready || !pair || !pair.has_peer;
  showFlow();
  showQueues();
  showHistory();
}

// ---- Changing ----

function askToken(why) {
  $("token-error").textContent = why;
  if (!$("ask-token").open) $("ask-token").showModal();
}

function backup() {
  const { own, peer } = seen.pair;
  return own.name === seen.primary ? peer.name : own.name;
}

function askSwitchover() {
  $("ask-text").textContent = `${seen.primary} hands over to ${backup()}, in order. Clients go on ` +
    "there by themselves; nothing is lost.";
  $("ask-error").textContent = "";
  $("reason").value = "";
  $("ask-switchover").showModal();
}

async function switchOver(event) {
  event.preventDefault();
  const reason = $("reason").value.trim();
  if (!reason) return;
  $("ask-yes").disabled = true;
  try {
    await post("/v1/pair/switchover", { reason });
    $("ask-switchover").close();
    setVerdict("warn", "Switching over …");
  } catch (error) {
    $("ask-error").textContent = error.message;
  } finally {
    $("ask-yes").disabled = false;
  }
}

$("switchover").addEventListener("click", askSwitchover);
$("ask-cancel").addEventListener("click", () => $("ask-switchover").close());
$("ask-switchover").querySelector("form").addEventListener("submit", switchOver);
$("ask-token").querySelector("form").addEventListener("submit", () => {
  token = $("token").value.trim();
  sessionStorage.setItem("token", token);
  $("token").value = "";
});
$("ask-token").addEventListener("cancel", (event) => event.preventDefault());
follow();
showWorkers();
