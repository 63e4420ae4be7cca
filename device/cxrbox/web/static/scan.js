// The live preview with what the coach says to it, and the way from the button to the film.
const station = document.querySelector(".station");
const preview = document.getElementById("preview");
const coaching = document.getElementById("coaching");
const result = document.getElementById("result");
const polygon = document.querySelector("#outline polygon");
// Milliseconds between two looks at the preview; the camera coaches about eight pictures a second.
const LOOK = 120;
// Milliseconds after which a request is no longer taken by the camera.
const PATIENCE = 30000;
let shown = -1, asking = false;

function loaded(url) {
  return new Promise((resolve) => { preview.onload = preview.onerror = resolve; preview.src = url; });
}

function say(words, kind) {
  if (coaching.textContent !== words) coaching.textContent = words;
  coaching.className = kind;
  station.dataset.kind = kind;
}

function sentence(words) {
  return words[0].toUpperCase() + words.slice(1).replace(/\.$/, "") + ".";
}

async function look() {
  if (!document.hidden) {
    try {
      const answer = await fetch(station.dataset.coaching, { cache: "no-store" });
      const told = await answer.json();
      heard("preview", answer.ok);
      await showPreview(told);
    } catch {
      heard("preview", false);
    }
  }
  setTimeout(look, LOOK);
}

async function showPreview(told) {
  preview.hidden = !told;
  polygon.setAttribute("points", (told?.corners ?? []).map((corner) => corner.join(",")).join(" "));
  if (!told) return askHow();
  if (told.frame !== shown) {
    shown = told.frame;
    await loaded(`${station.dataset.picture}?frame=${shown}`);
  }
  say(sentence(told.sentence), told.code === "ready" ? "ready" : "wait");
}

async function progress(query = "") {
  return (await fetch(station.dataset.progress + query, { cache: "no-store" })).json();
}

// There is no picture: say why, once a second.
async function askHow() {
  const { camera } = await progress();
  say(camera?.reason ? sentence(camera.reason) : "The camera is starting.", camera?.reason ? "fault" : "wait");
  await new Promise((resolve) => setTimeout(resolve, 1000));
}

async function ask(event) {
  event.preventDefault();
  if (asking) return;
  asking = true;
  const task = event.submitter.value;
  result.className = "";
  result.textContent = task === "scan" ? "Scanning; do not move the film." : "One moment.";
  try {
    const body = new URLSearchParams({ do: task });
    // The answer leads to a page whose address names the request.
    const asked = await fetch(location.pathname, { method: "POST", body });
    if (!asked.ok) return tell(await reason(asked), "fault");
    await follow(new URL(asked.url).search, task);
  } catch {
    tell("The box could not be asked. Try again.", "fault");
  } finally {
    asking = false;
  }
}

// The sentence of an error page.
async function reason(answer) {
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  return page.querySelector("p.refusal")?.textContent ?? "The box could not be asked. Try again.";
}

function tell(words, kind) {
  result.textContent = words;
  result.className = kind;
}

async function follow(query, task) {
  const end = performance.now() + PATIENCE;
  while (performance.now() < end) {
    const { answer, film, camera } = await progress(query);
    if (task === "scan" && film) { location.href = `/films/${film}`; return; }
    if (answer) {
      document.getElementById("camera").textContent = `${sentence(camera.camera)} Flat field: ${camera.flat_field}.`;
      return tell(sentence(answer.sentence), answer.done ? "" : "fault");
    }
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  tell("The camera did not answer. Look at Health, then try again.", "fault");
}

// Whoever comes back to this page from a film finds it as it is now, not as it was left.
addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });

if (station) {
  document.getElementById("ask").addEventListener("submit", ask);
  document.getElementById("flat").addEventListener("submit", ask);
  look();
}
