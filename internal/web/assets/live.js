"use strict";
// Appends what a log still gets, keeps its end in view, and reloads the page when its state changes.
const later = (ms) => setTimeout(() => location.reload(), ms);
// A browser opens six connections to a server at most, and the page itself needs some.
const logs = [...document.querySelectorAll("pre[data-src]")].slice(0, 4);

for (const log of logs) {
  const end = () => { log.scrollTop = log.scrollHeight; };
  end();
  const source = new EventSource(log.dataset.src);
  source.onmessage = (event) => {
    const follow = log.scrollTop + log.clientHeight >= log.scrollHeight - 30;
    log.append(event.data + "\n");
    if (follow) end();
  };
  source.addEventListener("end", () => {
    source.close();
    later(1500);
  });
}
if (document.body.dataset.live && logs.length === 0) later(3000);
