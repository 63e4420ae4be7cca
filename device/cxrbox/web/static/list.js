// Keep the list of films fresh: ask the box once a second; it answers 304 while nothing has changed.
const rows = document.getElementById("rows");
const lost = document.getElementById("lost");
let etag = "";

async function refresh() {
  try {
    const answer = await fetch(rows.dataset.url, { headers: etag ? { "If-None-Match": etag } : {}, cache: "no-store" });
    if (answer.status === 200) {
      rows.innerHTML = await answer.text();
      etag = answer.headers.get("ETag");
    }
    lost.hidden = answer.ok || answer.status === 304;
  } catch {
    lost.hidden = false;
  }
  setTimeout(refresh, document.hidden ? 5000 : 800);
}

refresh();
