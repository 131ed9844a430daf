// Keeps the changing part of a page up to date: the server sends it rendered, and it is put in place as it is.
// Asks again when the connection is lost, after pauses that double up to half a minute, each with some chance in it.
"use strict";

(() => {
  const part = document.getElementById("live");
  const sign = document.getElementById("connection");
  if (!part || !part.dataset.source || !window.EventSource) return;

  const FIRST = 500, LONGEST = 30000;
  let pause = FIRST, source = null, timer = 0;

  const tell = (state) => { sign.dataset.state = state; sign.textContent = state; };

  // What somebody is about to do on the page must not be taken away under the hand.
  const busy = () => {
    const at = document.activeElement;
    return (at && part.contains(at) && at.matches("input, textarea, select")) || part.querySelector("details[open]") !== null
      || part.querySelector("input[type=checkbox]:checked") !== null;
  };

  function connect() {
    clearTimeout(timer);
    source = new EventSource(part.dataset.source);
    source.onmessage = (event) => {
      pause = FIRST;
      tell("live");
      if (!busy()) part.innerHTML = JSON.parse(event.data).html;
    };
    source.onerror = () => {
      source.close();
      tell("reconnecting");
      timer = setTimeout(connect, pause * (0.5 + Math.random()));
      pause = Math.min(LONGEST, pause * 2);
    };
  }

  document.addEventListener("visibilitychange", () => {
    if (document.hidden) { clearTimeout(timer); source.close(); tell("paused"); } else { pause = FIRST; connect(); }
  });
  window.addEventListener("pagehide", () => { clearTimeout(timer); source.close(); });
  connect();
})();
