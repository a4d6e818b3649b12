// Comfort only: every page works without this file. It counts clocks on, refreshes the progress, ticks all, shows the line,
// and puts back what was typed when a form is refused.
"use strict";
(() => {
  const span = (left) => {
    const minutes = Math.floor(Math.abs(left) / 60000);
    const days = Math.floor(minutes / 1440), hours = Math.floor((minutes % 1440) / 60), rest = minutes % 60;
    let text = hours ? `${hours} h ${rest} min` : `${rest} min`;
    if (days) text = days >= 14 ? `${days.toLocaleString("en-GB")} d` : `${days} d ${hours} h`;
    return left < 0 ? `${text} ago` : `in ${text}`;
  };
  const tick = () => {
    for (const node of document.querySelectorAll("[data-until], [data-since]")) {
      const left = Date.parse(node.dataset.until || node.dataset.since) - Date.now();
      node.textContent = span(left);
      if (node.dataset.until) {
        node.classList.remove("left-late", "left-soon", "left-ahead");
        node.classList.add(left < 0 ? "left-late" : left < 86400000 ? "left-soon" : "left-ahead");
      }
    }
  };
  tick();
  setInterval(tick, 20000);

  for (const box of document.querySelectorAll("[data-refresh]")) {
    const pause = document.createElement("button");
    pause.type = "button";
    pause.className = "button";
    pause.textContent = "Stop refreshing";
    let on = true;
    pause.addEventListener("click", () => {
      on = !on;
      pause.textContent = on ? "Stop refreshing" : "Refresh again";
    });
    box.after(pause);
    const refresh = async () => {
      if (!on || document.hidden || box.contains(document.activeElement)) return;
      try {
        const answer = await fetch(box.dataset.refresh, { credentials: "same-origin" });
        if (!answer.ok || answer.redirected) return;
        box.innerHTML = await answer.text();
      } catch { return; /* the server rests; the next turn tries again */ }
      follow();
    };
    // What the answer says of the rest of the page: words for those who listen, forms that fit no longer, and the end.
    const follow = () => {
      const said = box.querySelector("[data-say]"), live = document.querySelector(`[data-live="${box.id}"]`);
      if (said && live && live.textContent !== said.dataset.say) live.textContent = said.dataset.say;
      for (const gone of box.querySelectorAll("[data-gone]")) document.getElementById(gone.dataset.gone)?.remove();
      const next = box.querySelector("[data-next]");
      if (next) location.replace(next.dataset.next);
      if (next || box.querySelector("[data-settled]")) {
        clearInterval(turns);
        pause.remove();
      }
    };
    const turns = setInterval(refresh, 4000);
  }

  for (const all of document.querySelectorAll("[data-all]")) {
    all.hidden = false;
    all.addEventListener("change", () => {
      for (const one of all.form.querySelectorAll(`input[name="${all.dataset.all}"]`)) one.checked = all.checked;
    });
  }

  // A form that shows more of the page takes along what was chosen in the form beside it.
  document.addEventListener("submit", ({ target: form }) => {
    const beside = document.getElementById(form.dataset.takes || "");
    if (!beside) return;
    const own = new Set([...form.elements].map((one) => one.name));
    for (const [name, value] of new FormData(beside)) {
      if (own.has(name)) continue;
      const box = document.createElement("input");
      Object.assign(box, { type: "hidden", name, value });
      form.append(box);
    }
  });

  const source = document.getElementById("source"), place = document.querySelector('[data-place="source"]');
  if (source && place) {
    const show = () => {
      const before = source.value.slice(0, source.selectionStart).split("\n");
      place.textContent = `Line ${before.length}, column ${before[before.length - 1].length + 1}`;
    };
    for (const name of ["keyup", "click", "input"]) source.addEventListener(name, show);
    show();
  }

  // What a form held when it was sent is kept in this tab alone, and put back on the page that says that it was refused. Nothing
  // hidden, no password and no file; for its sender only; gone with the next page that refuses nothing, at sign-out, or in time.
  const KEPT = "desk.kept", LASTS = 15 * 60000, NEVER = ["hidden", "password", "file", "submit", "button", "reset", "image"];
  const sender = document.querySelector("#user-tools strong")?.textContent || "";
  const refused = document.querySelector("[data-refused]");
  const acts = [...document.querySelectorAll('form[method="post"]')].filter(
    (form) => form.id !== "logout-form" && !form.querySelector('[type="password"]'),
  );
  const goal = (form) => new URL(form.getAttribute("action") || "", location.href).pathname;
  const alike = (path) => acts.filter((form) => goal(form) === path);
  const ticks = (one) => one.type === "checkbox" || one.type === "radio";
  // A form with a field of the name "elements" has no other `elements`.
  const fields = Object.getOwnPropertyDescriptor(HTMLFormElement.prototype, "elements").get;
  const named = (form) => {
    const met = new Map();
    return [...fields.call(form)].filter((one) => one.name && one.type && !NEVER.includes(one.type)).map((one) => {
      const name = JSON.stringify([one.name, ticks(one) ? one.value : ""]);
      met.set(name, (met.get(name) || 0) + 1);
      return [name + met.get(name), one];
    });
  };
  const held = (one) => {
    if (ticks(one)) return one.checked;
    return one.type === "select-multiple" ? [...one.options].filter((each) => each.selected).map((each) => each.value) : one.value;
  };
  const put = (one, value) => {
    if (ticks(one)) one.checked = value;
    else if (one.type === "select-multiple") for (const each of one.options) each.selected = value.includes(each.value);
    else if (one.type !== "select-one" || [...one.options].some((each) => each.value === value)) one.value = value;
  };
  const forget = () => { try { sessionStorage.removeItem(KEPT); } catch { /* this browser keeps nothing */ } };
  const keep = (kept) => { try { sessionStorage.setItem(KEPT, JSON.stringify(kept)); } catch { forget(); } };
  const recall = () => { try { return JSON.parse(sessionStorage.getItem(KEPT)); } catch { return null; } };
  const restore = (form, kept) => {
    const values = new Map(kept.values), details = [...form.querySelectorAll("details")];
    for (const [name, one] of named(form)) if (values.has(name)) put(one, values.get(name));
    for (const at of kept.open) if (details[at]) details[at].open = true;
    for (let box = form.closest("details"); box; box = box.parentElement.closest("details")) box.open = true;
  };
  const note = () => {
    const box = document.createElement("p");
    box.className = "empty";
    box.setAttribute("role", "status");
    box.tabIndex = -1;
    box.textContent = "What you had typed is back in its form. It was not done: look at it, and send it again.";
    document.getElementById("content").prepend(box);
    return box;
  };

  let said = refused;
  const kept = recall(), left = kept ? kept.at + LASTS - Date.now() : 0;
  const form = kept && alike(kept.place)[kept.number];
  if (!kept || left <= 0 || (sender && kept.sender !== sender) || !(refused || kept.owed)) forget();
  else if (form) {
    // A page that shows by itself what was typed knows better.
    if (!form.matches("[data-kept]") || !refused) restore(form, kept);
    if (!refused) said = note();
    forget();
  } else if (refused) {
    // A page between: the sign-in, or one that has no form. The next one may have it.
    keep({ ...kept, owed: true });
    setTimeout(forget, left);
  } else forget();
  if (said && said.tabIndex === -1 && said.hasAttribute("tabindex")) said.focus();

  document.addEventListener("submit", (event) => {
    const sent = event.target;
    if (sent.id === "logout-form") return forget();
    if (event.defaultPrevented || !acts.includes(sent)) return;
    const open = [...sent.querySelectorAll("details")].flatMap((box, at) => (box.open ? [at] : []));
    const values = named(sent).map(([name, one]) => [name, held(one)]);
    keep({ place: goal(sent), number: alike(goal(sent)).indexOf(sent), at: Date.now(), sender, open, values });
    setTimeout(forget, LASTS);
  });
})();
