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

// Whoever goes through the links with the keyboard stays where they are.
function replace(part, text) {
  const at = part.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
  part.innerHTML = text;
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
