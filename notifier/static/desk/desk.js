// Comfort only: every page works without this file. It counts clocks on, refreshes the progress, ticks all, shows the line.
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
        if (answer.ok && !answer.redirected) box.innerHTML = await answer.text();
      } catch { /* the server rests; the next turn tries again */ }
    };
    setInterval(refresh, 4000);
  }

  for (const all of document.querySelectorAll("[data-all]")) {
    all.hidden = false;
    all.addEventListener("change", () => {
      for (const one of all.form.querySelectorAll(`input[name="${all.dataset.all}"]`)) one.checked = all.checked;
    });
  }

  const source = document.getElementById("source"), place = document.querySelector('[data-place="source"]');
  if (source && place) {
    const show = () => {
      const before = source.value.slice(0, source.selectionStart).split("\n");
      place.textContent = `Line ${before.length}, column ${before[before.length - 1].length + 1}`;
    };
    for (const name of ["keyup", "click", "input"]) source.addEventListener(name, show);
    show();
  }

  const errors = document.getElementById("errors");
  if (errors) errors.focus();
})();
