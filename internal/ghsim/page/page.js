// Keeps the page fresh: when the world changes, it is fetched again and the parts marked
// data-live are replaced where they differ. What a person has opened or typed stays.
"use strict";

document.addEventListener("change", (event) => {
  if (event.target.matches("[data-submit]")) event.target.form.submit();
});

function opened(root) {
  return [...root.querySelectorAll("details")].map((d) => d.open);
}

function replace(old, fresh) {
  if (old.innerHTML === fresh.innerHTML || old.contains(document.activeElement) && document.activeElement.matches("select, textarea, input")) return;
  const before = opened(old);
  const chosen = [...old.querySelectorAll("select")].map((s) => s.value);
  old.className = fresh.className;
  old.innerHTML = fresh.innerHTML;
  old.querySelectorAll("details").forEach((d, i) => { if (i < before.length) d.open = before[i]; });
  old.querySelectorAll("select").forEach((s, i) => { if (i < chosen.length) s.value = chosen[i]; });
}

let pending = false;

async function refresh() {
  pending = false;
  const answer = await fetch(location.href);
  if (!answer.ok) return;
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  document.querySelectorAll("[data-live]").forEach((old) => {
    const now = fresh.querySelector(`[data-live="${CSS.escape(old.dataset.live)}"]`);
    if (now) replace(old, now);
  });
}

// The first message comes at once and only says that the stream is open.
let first = true;
new EventSource("/-/events").onmessage = () => {
  if (first) { first = false; return; }
  if (!pending) { pending = true; setTimeout(() => refresh().catch(() => {}), 250); }
};
