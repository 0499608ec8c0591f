// The few things that pages do by themselves: times that go on, copying, keys, and the state of the
// live updates. Every page works without this file.
(() => {
  "use strict";
  const all = (selector, within = document) => Array.from(within.querySelectorAll(selector));
  const one = (selector) => document.querySelector(selector);

  // -- times
  const UNITS = [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]];
  const rough = (seconds) => {
    const [unit, size] = UNITS.find(([, size]) => seconds >= size) || ["s", 1];
    return `${Math.floor(seconds / size)} ${unit}`;
  };
  const tick = () => {
    for (const time of all("time[data-ago]")) {
      const distance = (Date.now() - Date.parse(time.dateTime)) / 1000;
      const size = Math.abs(distance);
      const text = size < 1 ? "now" : distance > 0 ? `${rough(size)} ago` : `in ${rough(size)}`;
      if (time.textContent !== text) time.textContent = text;
    }
  };
  setInterval(tick, 1000);

  // -- copying
  const revealed = () => {
    if (!navigator.clipboard) return;
    for (const button of all("[data-copy][hidden]")) button.hidden = false;
  };
  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copy]");
    if (!button) return;
    await navigator.clipboard.writeText(button.dataset.copy);
    button.classList.add("copied");
    setTimeout(() => button.classList.remove("copied"), 1200);
  });

  // -- theme
  const root = document.documentElement;
  const isDark = () => root.dataset.theme
    ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  const themed = one("#theme");
  const changeTheme = () => {
    const button = themed.querySelector("button");
    button.value = isDark() ? "light" : "dark";
    root.dataset.theme = button.value;
    const data = new URLSearchParams(new FormData(themed));
    data.set("theme", button.value);
    fetch(themed.action, { method: "POST", body: data, redirect: "manual" });
  };
  if (themed) {
    themed.addEventListener("submit", (event) => { event.preventDefault(); changeTheme(); });
  }

  // -- asking before what is written
  const ask = one("#ask");
  const confirmed = (question) => new Promise((resolve) => {
    one("#ask-title").textContent = question;
    ask.returnValue = "no";
    ask.addEventListener("close", () => resolve(ask.returnValue === "yes"), { once: true });
    ask.showModal();
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    for (const open of all("details.confirm[open]")) open.open = false;
  });
  document.addEventListener("click", (event) => {
    for (const open of all("details.confirm[open]")) {
      if (!open.contains(event.target)) open.open = false;
    }
  });

  // -- selecting rows
  const selection = () => {
    const chosen = all("input[data-select]:checked").length;
    for (const count of all("[data-selected]")) count.textContent = chosen;
    for (const bar of all("[data-selection]")) bar.hidden = chosen === 0;
  };
  document.addEventListener("change", (event) => {
    if (event.target.matches("[data-select-all]")) {
      for (const box of all("input[data-select]")) box.checked = event.target.checked;
    }
    selection();
    const form = event.target.closest("form[data-send-on-change]");
    if (form) form.requestSubmit();
  });

  // -- keys
  let row = -1;
  let went = 0;
  const rows = () => all("[data-row]");
  const move = (by) => {
    const list = rows();
    if (!list.length) return;
    row = Math.max(0, Math.min(list.length - 1, row + by));
    list.forEach((each, index) => each.classList.toggle("at", index === row));
    list[row].scrollIntoView({ block: "nearest" });
  };
  const press = async (selector) => {
    const button = one(selector);
    if (button && await confirmed(`${button.textContent.trim()}?`)) button.click();
  };
  const help = one("#help");
  const keys = {
    "/": () => one("[data-filter]")?.focus(),
    j: () => move(1),
    k: () => move(-1),
    Enter: () => rows()[row]?.querySelector("a")?.click(),
    x: () => rows()[row]?.querySelector("input[data-select]")?.click(),
    c: () => press("[data-key-check]"),
    r: () => press("[data-key-resend]"),
    p: () => pause(),
    t: () => themed && changeTheme(),
    "?": () => help && help.showModal(),
  };
  document.addEventListener("keydown", (event) => {
    const typing = event.target.closest("input:not([type=checkbox]), textarea, select, dialog, button, summary, video");
    if (event.ctrlKey || event.metaKey || event.altKey || typing) return;
    if (event.key === "Enter" && event.target.closest("a")) return;
    if (Date.now() - went < 1500) {
      went = 0;
      const link = one(`nav a[data-key="${CSS.escape(event.key)}"]`);
      if (link) { link.click(); return; }
    }
    if (event.key === "g") { went = Date.now(); return; }
    if (!keys[event.key]) return;
    event.preventDefault();
    keys[event.key]();
  });
  const helpButton = one("#help-button");
  if (helpButton && help) {
    helpButton.hidden = false;
    helpButton.addEventListener("click", () => help.showModal());
  }

  // -- live updates
  const main = one("#main");
  const state = one("#livestate");
  let paused = false;
  let failures = 0;
  let polling = null;
  let lostAt = null;
  const say = (name, words) => {
    if (!state || state.dataset.state === name) return;
    state.dataset.state = name;
    state.querySelector(".words").textContent = words;
  };
  const clock = () => new Date().toTimeString().slice(0, 5);
  const source = document.createElement("div");
  const connect = () => {
    source.setAttribute("hx-sse:connect", main.dataset.live);
    source.setAttribute("hx-swap", "none");
    source.hidden = true;
    document.body.append(source);
    htmx.process(source);
  };
  const disconnect = () => {
    // An element that is only removed keeps its stream until the next message.
    source.removeAttribute("hx-sse:connect");
    htmx.process(source, true);
    source.remove();
  };
  const pause = () => {
    if (!main.dataset.live || !window.htmx) return;
    paused = !paused;
    if (paused) { disconnect(); clearInterval(polling); polling = null; say("paused", "paused (p)"); }
    else connect();
  };
  const poll = () => {
    say("polling", `read every 5 s, no stream since ${lostAt}`);
    const address = main.dataset.live.replace("live=stream", "live=poll");
    htmx.ajax("GET", address, { source: main, swap: "none" });
  };
  const live = () => {
    if (!main?.dataset.live || !window.htmx) return;
    document.addEventListener("htmx:sse:after:connection", (event) => {
      const { status } = event.detail.connection;
      if (status === 401 || status === 303) { location.reload(); return; }
      failures = 0;
      lostAt = null;
      clearInterval(polling);
      polling = null;
      say("live", "live");
    });
    const lost = (status) => {
      // The page itself says what has happened: the session is over, or what it shows is gone.
      if (status === 401 || status === 404) { location.reload(); return; }
      failures += 1;
      lostAt = lostAt || clock();
      if (!polling) say("lost", `reconnecting since ${lostAt}`);
      if (failures >= 3 && !polling) polling = setInterval(poll, 5000);
    };
    document.addEventListener("htmx:sse:error", (event) => lost(event.detail.status));
    // htmx tries a stream again that broke, but not one that never stood.
    for (const name of ["htmx:error", "htmx:response:error"]) {
      document.addEventListener(name, (event) => {
        if (event.target !== source) return;
        lost(event.detail.ctx?.response?.status);
        disconnect();
        setTimeout(() => paused || connect(), Math.min(1000 * 2 ** failures, 10000));
      });
    }
    document.addEventListener("htmx:after:swap", () => { revealed(); selection(); tick(); });
    connect();
  };

  // On a phone the pages are a strip, which begins at the page that is open.
  const here = one(".rail nav [aria-current]");
  if (here) here.closest("nav").scrollLeft = here.offsetLeft - here.closest("nav").clientWidth / 2;

  revealed();
  selection();
  // After htmx has looked through the page: else it finds the stream's element too, and opens two.
  setTimeout(live);
})();
