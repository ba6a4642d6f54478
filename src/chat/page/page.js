// Draws the demo's channel from facts. Everything is set as text, so nothing that comes from outside is ever markup.
"use strict";
const find = (id) => document.getElementById(id);
const element = (name, className, text) => {
  const node = document.createElement(name);
  if (className) node.className = className;
  if (text !== undefined) node.textContent = text;
  return node;
};
const clock = (at) => new Date(at).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit" });

function line(spans) {
  const paragraph = element("p");
  for (const span of spans) {
    if (span.strong !== undefined) paragraph.append(element("strong", "", span.strong));
    else if (span.code !== undefined) paragraph.append(element("code", "", span.code));
    else if (span.mention !== undefined) paragraph.append(element("span", "mention", span.mention));
    else if (span.time !== undefined) paragraph.append(element("time", "", clock(span.time)));
    else paragraph.append(span.text);
  }
  return paragraph;
}

async function send(path, body) {
  const answer = await fetch(path, {
    method: "POST",
    headers: { "content-type": "application/json", "x-mtls-medic": "page" },
    body: JSON.stringify(body),
  });
  if (answer.headers.get("content-type")?.startsWith("application/json")) find("told").textContent = (await answer.json()).told;
  await refresh();
}

function buttons(list) {
  const row = element("div", "buttons");
  for (const one of list) {
    const button = element("button", one.style, one.label);
    button.addEventListener("click", () => {
      if (one.confirm && !window.confirm(one.confirm)) return;
      for (const other of row.children) other.disabled = true;
      send("press", { person: find("person").value, label: one.label, press: one.press });
    });
    row.append(button);
  }
  return row;
}

function card(facts) {
  const article = element("article");
  article.style.setProperty("--state", facts.colour);
  const heading = element("h2", "", facts.title);
  heading.append(element("span", "state", facts.state));
  article.append(heading, line(facts.headline));
  for (const section of facts.sections) {
    article.append(element("h3", "", section.heading), ...section.lines.map(line));
  }
  if (facts.buttons.length) article.append(buttons(facts.buttons));
  return article;
}

function post(facts) {
  const node = element("div", facts.who === "mtls-medic" ? "post" : "post person");
  const head = element("p");
  head.append(element("span", "who", facts.who), element("span", "dim", clock(facts.at)));
  node.append(head, ...facts.lines.map(line));
  for (const link of facts.links ?? []) {
    if (!/^https?:/.test(link.url)) continue;
    const anchor = element("a", "dim", link.label);
    anchor.href = link.url;
    anchor.rel = "noreferrer";
    node.append(anchor, " ");
  }
  if (facts.raw) {
    const details = element("details");
    details.append(element("summary", "dim", facts.raw.title), element("pre", "", facts.raw.text));
    node.append(details);
  }
  return node;
}

let drawn = "";
function draw(state) {
  find("clock").textContent = clock(state.now);
  const world = state.world;
  find("failing").textContent = world.failing === null ? "no traffic" : `${Math.round(world.failing * 100)} % of frontend's handshakes fail`;
  find("rates").replaceChildren(...world.rates.map((rate) => {
    const button = element("button", rate === world.rate ? "on" : "", `${rate}×`);
    button.addEventListener("click", () => send("rate", { rate }));
    return button;
  }));
  find("faults").replaceChildren(...world.faults.map((fault) => {
    const button = element("button", fault.on ? "danger" : "", `${fault.on ? "mend" : "break"}: ${fault.label}`);
    button.addEventListener("click", () => send("fault", { fault: fault.name }));
    return button;
  }));
  const text = JSON.stringify(state.incidents);
  if (text === drawn || !state.incidents.length) return;
  drawn = text;
  const open = [...document.querySelectorAll("details[open] summary")].map((node) => node.textContent);
  const nodes = [];
  for (const one of state.incidents) {
    if (one.card) nodes.push(card(one.card));
    const thread = element("div", "thread");
    thread.append(...one.posts.map(post));
    nodes.push(thread);
  }
  find("incidents").replaceChildren(...nodes);
  for (const details of document.querySelectorAll("details")) details.open = open.includes(details.querySelector("summary").textContent);
}

async function refresh() {
  try {
    draw(await (await fetch("state")).json());
  } catch {
    find("told").textContent = "The demo has ended: start it again on the terminal.";
  }
}

find("form").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = find("text").value.trim();
  if (text) send("command", { person: find("person").value, text });
  find("text").value = "";
});
refresh();
setInterval(refresh, 700);
