// Switch and fade the heat map; reload while the film is still waiting for its reading.
const heat = document.getElementById("heat");
const show = document.getElementById("show");
const strength = document.getElementById("strength");

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

if (heat) {
  document.querySelectorAll("a.pick").forEach((link) => link.addEventListener("click", choose));
  show.addEventListener("change", () => { heat.hidden = !show.checked; });
  strength.addEventListener("input", () => { heat.style.opacity = strength.value / 100; });
}
if (document.querySelector("[data-reload]")) setTimeout(() => location.reload(), 1000);
