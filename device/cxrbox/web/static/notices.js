// Keep the notices above every page fresh, and say so when the box does not answer any more.
const unanswered = new Set();

function heard(from, well) {
  if (well) unanswered.delete(from); else unanswered.add(from);
  document.getElementById("lost").hidden = unanswered.size === 0;
}

async function fetchIfNew(url, etag) {
  const answer = await fetch(url, { headers: etag ? { "If-None-Match": etag } : {}, cache: "no-store" });
  return { well: answer.ok || answer.status === 304, text: answer.status === 200 ? await answer.text() : null, etag: answer.headers.get("ETag") };
}

// Rows that come above others must not move another film under the finger: the one that is pointed at stays in its
// place, or the first that is seen of a list which was scrolled; at its top a touch counts only once the rows have rested.
const REST = 400;
let mouse = null, touched = false, moved = -REST;
addEventListener("pointermove", (event) => { mouse = event.pointerType === "mouse" ? event : null; });
addEventListener("pointerout", (event) => { if (!event.relatedTarget) mouse = null; });
addEventListener("pointerdown", (event) => { touched = event.pointerType === "touch"; });
addEventListener("click", (event) => {
  const early = touched && performance.now() - moved < REST;
  if (early && event.detail && event.target.closest("tr[id]")) event.preventDefault();
}, true);

function rowToKeep(part) {
  const pointed = mouse && document.elementFromPoint(mouse.clientX, mouse.clientY)?.closest("tr[id]");
  if (pointed && part.contains(pointed)) return pointed;
  return scrollY > 0 ? [...part.querySelectorAll("tr[id]")].find((row) => row.getBoundingClientRect().bottom > 0) : null;
}

// Whoever goes through the links with the keyboard stays where they are.
function replace(part, text) {
  const at = part.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
  const row = rowToKeep(part), top = row?.getBoundingClientRect().top, first = part.querySelector("tr[id]")?.id;
  part.innerHTML = text;
  const again = row && document.getElementById(row.id);
  if (again) scrollBy(0, again.getBoundingClientRect().top - top);
  else if (part.querySelector("tr[id]")?.id !== first) moved = performance.now();
  if (at) [...part.querySelectorAll("a")].find((link) => link.getAttribute("href") === at)?.focus({ preventScroll: true });
}

// Ask for a part of the page again and again, and show it when it is another.
function keepFresh(part, pause) {
  let etag = part.dataset.etag;
  async function refresh() {
    try {
      const answer = await fetchIfNew(part.dataset.url, etag);
      if (answer.text !== null && part.innerHTML.trim() !== answer.text.trim()) replace(part, answer.text);
      etag = answer.etag ?? etag;
      heard(part.id, answer.well);
    } catch {
      heard(part.id, false);
    }
    setTimeout(refresh, document.hidden ? 5000 : pause);
  }
  refresh();
}

keepFresh(document.getElementById("notices"), 3000);
