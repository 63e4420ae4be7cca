// Send films one by one as soon as they are chosen or dropped, and say what became of each.
const form = document.getElementById("upload");
const outcomes = document.getElementById("outcomes");

function sentence(reason) {
  return reason[0].toUpperCase() + reason.slice(1).replace(/\.$/, "") + ".";
}

function tell(line, words, kind) {
  line.lastChild.textContent = words;
  line.lastChild.className = kind;
}

function addLine(name) {
  const line = document.createElement("li");
  line.append(document.createElement("b"), " ", document.createElement("span"));
  line.firstChild.textContent = name;
  // A name may hold marks that turn what stands beside it round.
  line.firstChild.dir = "auto";
  outcomes.append(line);
  return line;
}

const VERDICTS = { above: "flagged", uncertain: "uncertain", below: "nothing flagged" };
// Milliseconds between two questions what became of the films, and how many films one answer tells of.
const FOLLOW = 2000, TOLD = 100;
const followed = new Map();

// What is taken in may still be refused: say what became of it, as long as somebody stays on the page. All films are
// asked for at once, the oldest first: to ask for one alone is to have its picture drawn before others are read.
async function follow() {
  try {
    const oldest = Math.min(...followed.keys());
    const answer = await fetch(`${form.dataset.send}?before=${oldest + TOLD}`, { cache: "no-store" });
    const { films } = await answer.json();
    heard("uploads", answer.ok);
    films.forEach((film) => followed.has(film.id) && tellOutcome(film));
  } catch {
    heard("uploads", false);
  }
  if (followed.size) setTimeout(follow, FOLLOW);
}

function tellOutcome(film) {
  if (film.state !== "read" && film.state !== "refused") return;
  const line = followed.get(film.id);
  followed.delete(film.id);
  if (film.state === "refused") return tell(line, `Refused: ${sentence(film.refusal_reason)}`, "fault");
  const states = Object.values(film.reading.findings).map((finding) => finding.state);
  tell(line, `read: ${VERDICTS[Object.keys(VERDICTS).find((state) => states.includes(state))]}`, "soft");
}

function link(line, film) {
  const way = document.createElement("a");
  way.href = `/films/${film}`;
  way.textContent = line.firstChild.textContent;
  line.firstChild.replaceWith(way);
}

async function send(file) {
  const line = addLine(file.name);
  if (file.size > Number(form.dataset.most)) return tell(line, `The file is larger than ${form.dataset.most / 1048576} MB; export the film alone, as DICOM or PNG.`, "fault");
  tell(line, "is being sent …", "soft");
  const body = new FormData();
  body.append("film", file);
  try {
    const answer = await (await fetch(form.dataset.send, { method: "POST", body })).json();
    if (answer.error) return tell(line, answer.error.message, "fault");
    const [one] = answer.films;
    if (one.refusal) return tell(line, sentence(one.refusal.reason), "fault");
    link(line, one.film);
    tell(line, one.new ? "taken in" : "the box had this film already", "soft");
    if (one.new && followed.set(one.film, line).size === 1) follow();
    return one.new ? one.film : undefined;
  } catch {
    tell(line, "It was not taken in: the connection to the box was lost. Send it again.", "fault");
  }
}

// What is chosen while another film is on its way waits for it; a single new film leads to its page.
let sending = Promise.resolve(), chosen = 0, waiting = 0;

function sendAll(files) {
  chosen += files.length;
  waiting += files.length;
  sending = sending.then(async () => {
    for (const file of files) {
      const film = await send(file);
      waiting -= 1;
      if (chosen === 1 && film) location.href = `/films/${film}`;
    }
  });
}

function drop(event) {
  mark(event, false);
  const folders = [...event.dataTransfer.items].map((item) => item.webkitGetAsEntry?.()?.isDirectory);
  const files = [...event.dataTransfer.files];
  files.filter((_, at) => folders[at]).forEach((folder) => tell(addLine(folder.name), "This is a folder; open it and send the films in it.", "fault"));
  sendAll(files.filter((_, at) => !folders[at]));
}

function mark(event, over) {
  event.preventDefault();
  document.getElementById("drop").classList.toggle("over", over);
}

if (form) {
  document.getElementById("send").hidden = true;
  document.getElementById("drop-hint").hidden = false;
  form.querySelectorAll("input[type=file]").forEach((input) => input.addEventListener("change", () => {
    sendAll([...input.files]);
    input.value = "";
  }));
  addEventListener("dragover", (event) => mark(event, true));
  addEventListener("dragleave", (event) => mark(event, false));
  addEventListener("drop", drop);
  addEventListener("beforeunload", (event) => { if (waiting) event.preventDefault(); });
}
