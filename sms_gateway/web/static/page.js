// What makes the pages handier; everything works without it.
"use strict";

const every = (selector, act) => document.querySelectorAll(selector).forEach(act);

// Copy buttons.
every("[data-copy]", (button) => {
  const words = button.innerHTML;
  button.hidden = !navigator.clipboard;
  button.addEventListener("click", async () => {
    const text = document.getElementById(button.dataset.copy);
    try {
      await navigator.clipboard.writeText(text.innerText);
    } catch {
      getSelection().selectAllChildren(text);
      return;
    }
    button.textContent = button.dataset.done;
    setTimeout(() => { button.innerHTML = words; }, 2000);
  });
});

// How a text is encoded, while it is typed.
every("[data-count]", (text) => {
  const shown = document.getElementById("encoding");
  let timer = 0;
  let asked = 0;
  text.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(async () => {
      const number = ++asked;
      const body = new URLSearchParams({ message: text.value });
      const answer = await fetch(text.dataset.count, { method: "POST", body });
      if (!answer.ok) return;
      const { html } = await answer.json();
      if (number === asked) shown.innerHTML = html;
    }, 120);
  });
});

// Filter as you type.
every("[data-filter]", (input) => {
  const table = document.getElementById(input.dataset.filter);
  const none = document.getElementById(input.dataset.none);
  const plain = (words) => words.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();
  const rows = [...table.tBodies[0].rows].map((row) => [row, plain(row.dataset.search)]);
  input.addEventListener("input", () => {
    const wanted = plain(input.value.trim());
    let found = 0;
    for (const [row, words] of rows) {
      row.hidden = !words.includes(wanted);
      found += row.hidden ? 0 : 1;
    }
    none.hidden = found > 0;
  });
});

// A message's way, for as long as something is to be expected of it.
every("[data-follow]", (place) => {
  const address = place.dataset.follow || location.href;
  let pause = 1000;
  const look = async () => {
    const answer = await fetch(address, { headers: { Accept: "text/html" } });
    if (!answer.ok) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const way = page.getElementById("way");
    if (!way) return;
    if (place.innerHTML !== way.innerHTML) {
      place.innerHTML = way.innerHTML;
      pause = 1000;
    }
    // What else the page says of it: its states, and whether it may be sent again.
    every("[data-live]", (shown) => {
      const fresh = page.getElementById(shown.id);
      if (fresh && shown.innerHTML !== fresh.innerHTML) shown.innerHTML = fresh.innerHTML;
    });
    if (way.dataset.ended !== undefined) return;
    pause = Math.min(pause * 1.5, 30000);
    setTimeout(look, pause);
  };
  if (place.dataset.follow) look(); else setTimeout(look, pause);
});
