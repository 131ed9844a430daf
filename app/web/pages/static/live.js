// Keeps the changing part of a page up to date: the server sends it rendered, and what differs is put in place.
// Asks again when the connection is lost, after pauses that double up to half a minute, each with some chance in it.
"use strict";

(() => {
  const part = document.getElementById("live");
  const sign = document.getElementById("connection");
  if (!part || !part.dataset.source || !window.EventSource) return;

  const FIRST = 500, LONGEST = 30000;
  let pause = FIRST, source = null, timer = 0;

  // Told once: a screen reader reads it out.
  const tell = (state) => { if (sign.dataset.state !== state) { sign.dataset.state = state; sign.textContent = state; } };

  // What somebody is about to do on the page must not be taken away under the hand.
  const busy = () => {
    const at = document.activeElement;
    return (at && part.contains(at) && at.matches("input, textarea, select")) || part.querySelector("details[open]") !== null
      || part.querySelector("input[type=checkbox]:checked") !== null;
  };

  // What can be clicked on stays only as it is: it must not turn into something else under the hand.
  const isSame = (now, old) => now.nodeName === old.nodeName
    && (!(old instanceof Element) || !old.matches("a, button, form, input") || now.cloneNode().isEqualNode(old.cloneNode()));

  // What is the same stays in place, and with it the focus, a selection, and how far a table is scrolled.
  function put(now, old) {
    const coming = [...now.childNodes], there = [...old.childNodes];
    there.slice(coming.length).forEach((node) => node.remove());
    coming.forEach((node, at) => {
      const before = there[at];
      if (!before) old.append(node);
      else if (!isSame(node, before)) before.replaceWith(node);
      else if (node instanceof CharacterData) { if (before.data !== node.data) before.data = node.data; }
      else { putAttributes(node, before); put(node, before); }
    });
  }

  function putAttributes(now, old) {
    for (const { name } of [...old.attributes]) if (!now.hasAttribute(name)) old.removeAttribute(name);
    for (const { name, value } of now.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  }

  function show(html) {
    const template = document.createElement("template");
    template.innerHTML = html;
    put(template.content, part);
  }

  function connect() {
    clearTimeout(timer);
    source = new EventSource(part.dataset.source);
    source.onmessage = (event) => {
      pause = FIRST;
      tell("live");
      if (!busy()) show(JSON.parse(event.data).html);
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
