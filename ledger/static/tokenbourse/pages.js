// Countdowns to a gate: <time datetime data-countdown data-now>. Without this script the time itself is shown.
(() => {
  "use strict";
  const started = Date.now();

  function remaining(element) {
    const now = Date.parse(element.dataset.now) + Date.now() - started - element.startedAfter;
    const seconds = Math.max(0, Math.floor((Date.parse(element.dateTime) - now) / 1000));
    if (seconds === 0) return "now";
    const days = Math.floor(seconds / 86400);
    const clock = [Math.floor(seconds / 3600) % 24, Math.floor(seconds / 60) % 60, seconds % 60];
    return (days ? `${days} d ` : "") + clock.map((part) => String(part).padStart(2, "0")).join(":");
  }

  function tick() {
    for (const element of document.querySelectorAll("time[data-countdown]")) {
      if (element.startedAfter === undefined) {
        element.startedAfter = Date.now() - started; // its data-now was read when it came into the page
        element.title = element.textContent.trim();
      }
      element.textContent = remaining(element);
    }
  }

  tick();
  setInterval(tick, 1000);
  document.addEventListener("htmx:afterSwap", tick);
})();
