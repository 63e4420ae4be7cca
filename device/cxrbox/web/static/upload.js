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
  outcomes.append(line);
  return line;
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
    return one.film;
  } catch {
    tell(line, "It was not taken in: the connection to the box was lost. Send it again.", "fault");
  }
}

async function sendAll(files) {
  let film;
  for (const file of files) film = await send(file);
  if (files.length === 1 && film) location.href = `/films/${film}`;
}

function mark(event, over) {
  event.preventDefault();
  document.getElementById("drop").classList.toggle("over", over);
}

if (form) {
  document.getElementById("send").hidden = true;
  document.getElementById("drop-hint").hidden = false;
  form.querySelectorAll("input[type=file]").forEach((input) => input.addEventListener("change", () => {
    sendAll([...input.files]).then(() => { input.value = ""; });
  }));
  addEventListener("dragover", (event) => mark(event, true));
  addEventListener("dragleave", (event) => mark(event, false));
  addEventListener("drop", (event) => { mark(event, false); sendAll([...event.dataTransfer.files]); });
}
