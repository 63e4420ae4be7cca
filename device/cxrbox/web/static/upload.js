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

// What is taken in may still be refused: say what became of it, until somebody leaves the page.
async function follow(line, film) {
  const told = await (await fetch(`${form.dataset.send}/${film}`, { cache: "no-store" })).json().catch(() => ({}));
  if (told.state === "refused") return tell(line, `Refused: ${told.refusal_reason}`, "fault");
  if (told.state !== "read") return setTimeout(follow, 1000, line, film);
  const states = Object.values(told.reading.findings).map((finding) => finding.state);
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
    if (one.new) follow(line, one.film);
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
