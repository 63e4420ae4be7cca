// Switch and fade the heat map; show the result or the picture of a film that waits as soon as it is there.
const heat = document.getElementById("heat");
const show = document.getElementById("show");
const strength = document.getElementById("strength");
const waiting = document.querySelector("[data-wait]");
const watched = document.querySelector("[data-watch]");

function choose(event) {
  event.preventDefault();
  const link = event.currentTarget;
  heat.src = link.dataset.heat;
  heat.alt = `Heat map of ${link.dataset.name}`;
  document.getElementById("which").textContent = link.dataset.name;
  document.querySelector("tr.chosen")?.classList.remove("chosen");
  link.closest("tr").classList.add("chosen");
  document.getElementById("empty-heat").hidden = !link.hasAttribute("data-empty");
  show.checked = true;
  heat.hidden = false;
  history.replaceState(null, "", link.href);
}

// Nobody's typing is thrown away: who is at it gets a link instead.
function showNews() {
  const code = document.getElementById("code");
  if (code.value || document.activeElement === code) document.getElementById("news").hidden = false;
  else location.reload();
}

// To ask for a film whose picture is not drawn is to have it drawn before all else.
async function lookForNews() {
  try {
    const answer = await fetch(waiting.dataset.wait, { cache: "no-store" });
    const film = await answer.json();
    heard("film", answer.ok);
    if (film[waiting.dataset.for] || film.undrawable) return showNews();
  } catch {
    heard("film", false);
  }
  setTimeout(lookForNews, document.hidden ? 5000 : 500);
}

function listen() {
  document.querySelectorAll("a.pick").forEach((link) => link.addEventListener("click", choose));
}

function identity() {
  return document.querySelector(".identity");
}

function named(film) {
  return `${film.identity_kind} ${film.identity ?? ""}`;
}

// Whom the film shows, as somebody said elsewhere; who is saying it here is not interrupted.
async function showIdentity() {
  const code = document.getElementById("code");
  if (code.value || document.activeElement === code) {
    document.getElementById("news").hidden = false;
    return;
  }
  const page = new DOMParser().parseFromString(await (await fetch(location.href, { cache: "no-store" })).text(), "text/html");
  identity().replaceWith(page.querySelector(".identity"));
}

// The findings once more, with those that are unstable; all else on the page stays as it is.
async function showChecked(checked) {
  const answer = await fetch(location.href, { cache: "no-store" });
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const findings = "section[aria-label=Findings]";
  document.querySelector(findings).replaceWith(page.querySelector(findings));
  watched.dataset.checked = checked;
  listen();
}

// A result may be read again, and a second look at the film comes after it.
async function lookForChange() {
  try {
    const answer = await fetch(watched.dataset.watch, { cache: "no-store" });
    const film = await answer.json();
    heard("film", answer.ok);
    const checked = film.unstable === null ? "False" : "True";
    if (answer.ok && `${film.entry}` !== watched.dataset.entry) return showNews();
    if (answer.ok && checked !== watched.dataset.checked) await showChecked(checked);
    if (answer.ok && named(film) !== identity().dataset.identity) await showIdentity();
  } catch {
    heard("film", false);
  }
  setTimeout(lookForChange, document.hidden ? 10000 : 2000);
}

if (heat) {
  listen();
  show.addEventListener("change", () => { heat.hidden = !show.checked; });
  strength.addEventListener("input", () => { heat.style.opacity = strength.value / 100; });
}
if (waiting) lookForNews();
else if (watched) lookForChange();
