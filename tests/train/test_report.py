"""The report of a run and the comparison of runs, on small runs with drawn scores."""

import base64
import csv
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import torch
from cxrbundle.labels import FINDINGS, readable
from cxrbundle.phantom import draw_phantom
from cxrtrain.errors import RunError
from cxrtrain.evaluate.evaluate_command import write_evaluation
from cxrtrain.evaluate.metrics import report
from cxrtrain.explain.figures import Example, draw_triplet
from cxrtrain.explain.localise import QUESTIONS, Case, localisation_table
from cxrtrain.explain.settings import GUIDED_GRAD_CAM, METHODS
from cxrtrain.learn.optimiser import set_progress
from cxrtrain.recipe import Recipe, make_recipe, write_recipe
from cxrtrain.report.compare import compare_runs
from cxrtrain.report.page import write_report
from cxrtrain.report.run_folder import Epoch, read_run
from cxrtrain.report.search_figures import draw_lr_find, draw_wd_scan
from cxrtrain.report.training_figures import planned_schedule
from sklearn.metrics import average_precision_score, roc_auc_score
from train_command import run_cxrtrain

FILMS = 240
# Steps in an epoch.
STEPS = 7
PARTS = ("train", "validation", "test")
COLUMNS = ("path", "name", "patient", "source", "thumbnail", "part", "age", "sex", "view", *FINDINGS)


def write_run(folder: Path, settings: dict | None = None, skill: float = 1.0, seed: int = 0) -> Path:
    """Write a finished run without its network; SKILL is what a finding adds to its logit."""
    recipe = make_recipe({"data": {"split": "reference"}} | (settings or {}), "test")
    folder.mkdir()
    chance = np.random.default_rng(5)
    labels = (chance.random((FILMS, len(FINDINGS))) < 0.3).astype(int)
    parts = [PARTS[(row // 2) % 3] if recipe.data.split != "paper" else PARTS[row % 2] for row in range(FILMS)]
    write_recipe(recipe, folder / "recipe.toml")
    _write_films(folder, labels, parts)
    logits = skill * labels - 1 + np.random.default_rng(seed).normal(size=labels.shape)
    scored = FINDINGS if recipe.task.kind == "multi-label" else (recipe.task.finding,)
    columns = [FINDINGS.index(finding) for finding in scored]
    _write_predictions(folder, logits[:, columns], scored, parts)
    _write_metrics(folder, recipe)
    rows = [row for row in range(FILMS) if parts[row] == ("test" if "test" in parts else "validation")]
    metrics = report(
        labels[np.ix_(rows, columns)],
        {"float": logits[np.ix_(rows, columns)]},
        [_patient(row) for row in rows],
        20,
        findings=scored,
    )
    facts = {"code": "cxrbox 0.1.0", "minutes": 1.5, "preprocessing": "p", "input": {"size": 224}, "metrics": metrics}
    (folder / "run.json").write_text(json.dumps(facts))
    return folder


def _patient(row: int) -> str:
    return f"p{row // 2}"


def _name(row: int) -> str:
    return f"{row:08}_000.png"


def _write_films(folder: Path, labels: np.ndarray, parts: list[str]) -> None:
    with (folder / "films.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for row, own in enumerate(labels.tolist()):
            facts = [_name(row), _name(row), _patient(row), f"s{row % 2}", 0, parts[row], 20 + row % 60]
            writer.writerow([*facts, "FM"[row % 2], ["PA", "AP"][row % 5 == 0], *own])


def _write_predictions(folder: Path, logits: np.ndarray, findings: tuple[str, ...], parts: list[str]) -> None:
    with (folder / "predictions.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["name", "part", *findings])
        for row, part in enumerate(parts):
            if part != "train":
                writer.writerow([_name(row), part, *logits[row].tolist()])


def _write_metrics(folder: Path, recipe: Recipe) -> None:
    with (folder / "metrics.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(Epoch.__dataclass_fields__)
        epoch = 0
        for name, phase in recipe.phases:
            for own in range(phase.epochs):
                epoch += 1
                rate = last_rate(recipe, phase.rate_share, (own + (STEPS - 1) / STEPS) / phase.epochs)
                figures = [1 / epoch, 1.1 / epoch, 0.5 + epoch / 50, 30, 10 * epoch]
                writer.writerow([name, epoch, STEPS * epoch, *rate, *figures])


def last_rate(recipe: Recipe, share: float, progress: float) -> tuple[float, float]:
    """Return the rate and momentum that the real optimiser has."""
    top = recipe.optimiser.rate * share
    group = {"params": [torch.zeros(1, requires_grad=True)], "top": top}
    optimiser = torch.optim.AdamW([group], lr=top, betas=(recipe.optimiser.beta1, 0.999))
    set_progress(optimiser, recipe.schedule, progress)
    return optimiser.param_groups[0]["lr"], optimiser.param_groups[0]["betas"][0]


def add_searches(folder: Path) -> None:
    rates = np.geomspace(1e-6, 1, 40)
    losses = (1 / (1 + rates / 1e-2) + rates**2).tolist()
    curve = {"rates": rates.tolist(), "losses": losses, "smoothed": losses}
    scan = {
        "curves": [curve | {"weight_decay": decay} for decay in (0, 0.1, 1e-3, 1e-5)],
        "suggested": {"weight_decay": 0, "rate": 1e-3},
    }
    for name, result in (("lr-find", curve | {"suggested_rate": 1e-3}), ("wd-scan", scan)):
        (folder / name).mkdir()
        (folder / name / f"{name}.json").write_text(json.dumps(result))


def add_explanation(folder: Path) -> None:
    """Write what `cxrtrain explain` writes, with one film drawn."""
    output = folder / "explanation"
    output.mkdir()
    heats = {GUIDED_GRAD_CAM: np.linspace(0, 1, 64 * 64).reshape(64, 64)}
    example = Example(_name(2), FINDINGS[0], True, 0.5, draw_phantom(2), heats)
    draw_triplet(example, np.array([0, 1, 1]), np.array([-1.0, 0.5, 1.0]), output / "triplet-Atelectasis")
    case = Case(_name(2), FINDINGS[0], np.array([[0.1, 0.1, 0.5, 0.5]]))
    right, random = np.ones((1, len(QUESTIONS)), bool), np.full((1, len(QUESTIONS)), 0.25)
    finding = {
        "border_films": 1,
        "border_share": dict.fromkeys(METHODS, 0.4),
        "shown": [{"film": _name(2), "triplet": "triplet-Atelectasis.png"}],
    }
    explanation = {
        "part": "validation",
        "methods": list(METHODS),
        "border": {"width": 0.1, "area_share": 0.36},
        "findings": {FINDINGS[0]: finding},
        "localisation": {
            "films": {"used": 1},
            "cases": 1,
            "overlaps": [0.1, 0.25, 0.5],
            "tables": {
                "class-map": localisation_table([case], right),
                "random": localisation_table([case], random),
            },
        },
    }
    (output / "explanation.json").write_text(json.dumps(explanation))


class Page(HTMLParser):
    """A report read back: its links, captions and tables; an element left open is an error."""

    def __init__(self, path: Path):
        super().__init__()
        self.html = path.read_text("utf-8")
        self.open: list[str] = []
        self.links: list[str] = []
        self.captions: list[str] = []
        self.tables: dict[str, list[list[str]]] = {}
        self.rows: list[list[str]] = []
        self.feed(self.html)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.links += [value for name, value in attrs if name in ("src", "href", "srcset", "data", "action")]
        if tag in ("meta", "img"):
            return
        self.open.append(tag)
        if tag == "table":
            self.rows = []
        if tag == "tr":
            self.rows.append([])
        if tag in ("th", "td"):
            self.rows[-1].append("")

    def handle_data(self, data):
        if self.open and self.open[-1] in ("th", "td"):
            self.rows[-1][-1] += data
        if self.open and self.open[-1] == "caption":
            self.caption = data
        if self.open and self.open[-1] == "figcaption":
            self.captions.append(data)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag
        if tag == "table":
            self.tables[self.caption] = self.rows

    def table(self, start: str) -> dict[str, list[str]]:
        """Return the cells of each row, by the row's name, of the one table whose caption starts so."""
        (rows,) = (rows for caption, rows in self.tables.items() if caption.startswith(start))
        return {row[0]: row[1:] for row in rows}


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> Path:
    """Return a folder with runs: a full one, its second seed, one with a weighted loss, and one-vs-all."""
    root = tmp_path_factory.mktemp("runs")
    add_searches(write_run(root / "full", seed=1))
    add_explanation(root / "full")
    write_evaluation(root / "full", root / "full" / "evaluation", resamples=20)
    write_run(root / "second", {"run": {"seed": 2}, "data": {"split": "reference", "fold": 3}}, seed=2)
    write_run(root / "weighted", {"loss": {"positive_weights": "balanced"}}, skill=0.5, seed=3)
    write_run(root / "bare", seed=4)
    task = {"kind": "one-vs-all", "normal_films": False}
    write_run(root / "paper", {"data": {"split": "paper"}, "task": task, "loss": {"kind": "cross-entropy"}})
    return root


@pytest.fixture(scope="module")
def page(runs, prepared_films) -> Page:
    """Return the report of the full run with everything in it."""
    write_report(runs / "full", runs / "weighted", prepared_films, runs / "full" / "report.html")
    return Page(runs / "full" / "report.html")


@pytest.fixture(scope="module")
def bare(runs) -> Page:
    """Return the report of a run on which nothing but `fit` was run, by the command itself."""
    done = run_cxrtrain("report", runs / "bare")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(runs / "bare" / "report.html")
    return Page(runs / "bare" / "report.html")


@pytest.fixture(scope="module")
def paper(runs) -> Page:
    """Return the report of a one-vs-all run of the paper's split."""
    write_report(runs / "paper", runs / "paper", None, runs / "paper" / "report.html")
    return Page(runs / "paper" / "report.html")


FIGURES = (
    "Fig. 3 of the paper",
    "As in Fig. 1 of the paper: films as the preset 'edge'",
    "As in Fig. 1 of the paper: films as the preset 'paper'",
    "Range test",
    "Fig. 6 of the paper",
    "Fig. 5 of the paper",
    "As in Fig. 7-12 of the paper: loss",
    "As in Fig. 7-12 of the paper: mean AUC",
    "AUC and average precision of each finding",
    "As in Fig. 9-12 of the paper: ROC",
    "As in Fig. 9-12 of the paper: precision-recall",
    "Logits of films",
    "Reliability",
    "Mean AUC of each group",
    "As in Fig. 13-22 of the paper: atelectasis",
    "Fig. 21/23 of the paper",
)


@pytest.mark.parametrize("caption", FIGURES)
def test_the_report_has_each_figure_of_the_paper(page, caption):
    assert sum(own.startswith(caption) for own in page.captions) == 1


def test_the_report_needs_no_other_file(page):
    pictures = [link for link in page.links if not link.startswith("#")]
    assert len(pictures) == len(FIGURES) == len(page.captions)
    for picture in pictures:
        assert base64.b64decode(picture.removeprefix("data:image/png;base64,"), validate=True)[:4] == b"\x89PNG"
    assert not re.search(r"https?://|url\(|@import|<script|<link", page.html)


def test_every_line_of_the_contents_leads_to_a_section(page):
    for link in (link for link in page.links if link.startswith("#")):
        assert f'<section id="{link[1:]}">' in page.html


def test_the_figures_stand_beside_the_report_too(page, runs):
    stems = {"cooccurrence", "schedule", "losses", "validation-auc", "lr-find", "wd-scan", "losses-compared"}
    stems |= {"transforms-edge", "transforms-paper"}
    names = {path.name for path in (runs / "full" / "report").iterdir()}
    assert names == {f"{stem}.{kind}" for stem in stems for kind in ("png", "svg")}


def test_the_first_words_are_that_it_is_no_diagnosis(page):
    assert "not a diagnosis" in page.html[page.html.index("<main>") :][:400]


def test_table_1_has_the_papers_auc_and_this_runs(page, runs):
    own = read_run(runs / "full").predictions.quoted
    table = page.table("Table 1")
    assert table["Finding"] == ["Paper", "Reference DenseNet-121", "This run", "95 % interval"]
    assert table["Hernia"][0] == "0.89" and table["Atelectasis"][0] == "0.76"
    for column, finding in enumerate(FINDINGS):
        value = roc_auc_score(own.labels[:, column], own.logits[:, column])
        assert table[readable(finding)][2] == f"{value:.3f}"
    assert float(table["Mean of 14"][2]) == pytest.approx(roc_auc_score(own.labels, own.logits), abs=1e-3)


def test_table_2_tells_true_average_precision_from_that_of_rounded_probabilities(page, runs):
    own = read_run(runs / "full").predictions.quoted
    table = page.table("Table 2")
    truth, logits = own.labels[:, 0], own.logits[:, 0]
    assert table["Atelectasis"][0] == "0.31"
    assert table["Atelectasis"][1] == f"{average_precision_score(truth, logits > 0):.3f}"
    assert table["Atelectasis"][3] == f"{average_precision_score(truth, logits):.3f}"


def test_the_one_vs_all_table_has_the_papers_figures(page):
    table = page.table("The paper's one-vs-all")
    assert [table[name][0] for name in ("AUC", "F1 macro", "F1 micro", "F1 weighted")] == [
        "0.70",
        "0.582",
        "0.676",
        "0.713",
    ]


def test_the_effect_of_the_second_phase_is_stated(page):
    # 12 and 8 epochs, whose AUC is 0.5 + epoch / 50.
    assert "the validation AUC went from 0.740 to 0.900 (+0.160)" in page.html
    table = page.table("State at the end of each phase")
    assert table["Second phase: end to end, 224 px"] == ["8", "0.0500", "0.0550", "0.900"]


def test_localisation_stands_beside_random(page):
    assert page.table("Localisation")["Random map"][0] == "0.25"
    assert page.table("Pointing")["Atelectasis"] == ["1", "1.00", "0.25"]


def test_calibration_thresholds_decisions_and_subgroups_are_there(page):
    names = {readable(finding) for finding in FINDINGS}
    assert names < set(page.table("Thresholds")) and names < set(page.table("Calibration of each finding"))
    assert {"Accuracy", "F1, samples"} < set(page.table("Decisions"))
    assert {"Sex: F", "View: AP", "Age: 40-64", "Source: s0"} < set(page.table("Mean AUC of each group"))


def test_the_whole_recipe_is_there(page, runs):
    table = page.table("Resolved recipe")
    recipe = read_run(runs / "full").recipe.model_dump()
    for section, settings in recipe.items():
        for key, value in settings.items():
            assert table[f"{section}.{key}"][0] == str(value)


def test_no_leak_is_reported_for_a_split_by_patient_and_all_of_it_for_one_by_film(page, paper):
    assert "no validation film is of a patient who is trained on; no test film" in page.html
    assert "100.0 % of the validation films" in paper.html


def test_a_one_vs_all_run_of_the_papers_split_is_reported_on_its_validation_films(paper):
    assert "Measured on 120 validation films" in paper.html
    assert set(paper.table("Table 1")) == {"Finding", "Pneumothorax"}
    assert "Both have the same loss" in paper.html


@pytest.mark.parametrize(
    "command",
    [
        "cxrtrain report {run} --films PREPARED",
        "cxrtrain lr-find {run}/recipe.toml --films PREPARED -o {run}",
        "cxrtrain wd-scan {run}/recipe.toml --films PREPARED -o {run}",
        "cxrtrain evaluate {run} --films FILMS",
        "cxrtrain explain {run} --films FILMS --boxes BBox_List_2017.csv",
        "cxrtrain report {run} --against RUN2",
    ],
)
def test_a_part_that_is_missing_names_the_command_that_makes_it(bare, page, runs, command):
    line = f"run <code>{command.format(run=runs / 'bare')}</code>"
    assert line in bare.html
    assert bare.html.count('class="missing"') > page.html.count('class="missing"')


def test_without_an_evaluation_the_tables_are_those_of_the_run_itself(bare, runs):
    own = read_run(runs / "bare").facts["metrics"]["float"]
    assert bare.table("Table 1")["Mass"][2] == f"{own['Mass']['auc']:.3f}"
    assert bare.table("Table 2")["Mass"][1] == "-"


def test_a_run_without_metrics_names_the_command(runs, tmp_path):
    folder = write_run(tmp_path / "run")
    (folder / "metrics.csv").unlink()
    write_report(folder, None, None, tmp_path / "report.html")
    assert f"run <code>cxrtrain fit {folder}/recipe.toml" in Page(tmp_path / "report.html").html


def test_a_folder_that_is_no_finished_run_is_refused_in_one_sentence(tmp_path):
    done = run_cxrtrain("report", tmp_path)
    assert done.returncode == 1 and not (tmp_path / "report").exists()
    assert done.stderr.strip() == (
        f"cxrtrain: {tmp_path} holds no finished run (no run.json); name the folder that `cxrtrain fit` wrote with -o"
    )


def test_a_run_with_a_broken_table_is_refused(tmp_path):
    folder = write_run(tmp_path / "run")
    (folder / "metrics.csv").write_text((folder / "metrics.csv").read_text().replace("first,1,", "first,one,"))
    with pytest.raises(RunError, match=r"metrics\.csv.*'one'"):
        read_run(folder)


def test_films_of_another_run_are_refused(runs, prepared_films, tmp_path):
    folder = write_run(tmp_path / "run")
    (folder / "films.csv").write_text((folder / "films.csv").read_text().replace(",train,", ",,"))
    with pytest.raises(RunError, match="holds no training film"):
        write_report(folder, None, prepared_films, tmp_path / "report.html")


@pytest.mark.parametrize("kind", ["one-cycle", "warm-cosine"])
def test_the_line_of_the_schedule_goes_through_what_the_optimiser_had(tmp_path, kind):
    phases = {"first": {"epochs": 5}, "second": {"epochs": 3, "head_only": True, "rate_share": 0.1}}
    run = read_run(write_run(tmp_path / "run", {"schedule": {"kind": kind}} | phases))
    curves = planned_schedule(run.recipe, run.epochs)
    steps, rates, momenta = (np.concatenate(column) for column in zip(*curves, strict=True))
    for epoch in run.epochs:
        assert np.interp(epoch.step - 1, steps, rates) == pytest.approx(epoch.rate, rel=0.02, abs=1e-8)
        assert np.interp(epoch.step - 1, steps, momenta) == pytest.approx(epoch.momentum, rel=1e-3)


def test_searches_that_found_nothing_are_drawn(tmp_path):
    diverged = {"rates": [], "losses": [], "smoothed": [], "suggested_rate": None}
    draw_lr_find(diverged, tmp_path / "lr-find")
    suggested = {"weight_decay": 0, "rate": None}
    draw_wd_scan({"curves": [diverged | {"weight_decay": 0}], "suggested": suggested}, tmp_path / "wd-scan")
    assert {path.name for path in tmp_path.iterdir()} == {
        "lr-find.png",
        "lr-find.svg",
        "wd-scan.png",
        "wd-scan.svg",
    }


def test_compare_gives_the_auc_of_runs_groups_and_ensembles_as_scikit_learn_does(runs):
    folders = [runs / name for name in ("full", "second", "weighted")]
    result = compare_runs(folders, resamples=50)
    own = [read_run(folder).predictions.quoted for folder in folders]
    labels = own[0].labels
    values = [roc_auc_score(labels, one.logits) for one in own]
    assert [one["auc"] for one in result["runs"]] == pytest.approx(values, abs=1e-4)
    seeds, weighted = result["groups"]
    assert seeds["auc_mean"] == pytest.approx(np.mean(values[:2]), abs=1e-4)
    assert seeds["auc_sd"] == pytest.approx(np.std(values[:2], ddof=1), abs=1e-4)
    together = roc_auc_score(labels, (own[0].logits + own[1].logits) / 2)
    assert seeds["ensemble_auc"] == pytest.approx(together, abs=1e-4)
    assert weighted["auc_sd"] is None and weighted["ensemble_auc"] == pytest.approx(values[2], abs=1e-4)
    (difference,) = result["differences"]
    assert difference["auc"] == pytest.approx(np.mean(values[:2]) - values[2], abs=1e-4)
    assert difference["ensemble_auc"] == pytest.approx(together - values[2], abs=1e-4)


def test_compare_groups_runs_that_differ_in_seed_and_fold_only(runs):
    result = compare_runs([runs / name for name in ("full", "weighted", "second")], resamples=5)
    assert {Path(own["run"]).name: own["group"] for own in result["runs"]} == {
        "full": "A",
        "second": "A",
        "weighted": "B",
    }
    assert [own["differs_in"] for own in result["groups"]] == [{}, {"loss.positive_weights": "balanced"}]


def test_the_interval_of_a_difference_is_paired(runs, tmp_path):
    same = write_run(tmp_path / "same", {"loss": {"focus": 1.0}}, seed=1)
    (difference,) = compare_runs([runs / "full", same], resamples=20)["differences"]
    assert difference["auc_95"] == [0.0, 0.0]
    (difference,) = compare_runs([runs / "full", runs / "weighted"], resamples=200)["differences"]
    assert difference["auc_95"][0] > 0


def test_runs_that_share_no_film_or_no_finding_are_not_compared(runs, tmp_path):
    other = write_run(tmp_path / "other")
    for name in ("films.csv", "predictions.csv"):
        (other / name).write_text((other / name).read_text().replace("_000.png", "_001.png"))
    with pytest.raises(RunError, match="test no film in common"):
        compare_runs([runs / "full", other])
    first, second = (
        write_run(tmp_path / finding, {"task": {"kind": "one-vs-all", "finding": finding}})
        for finding in ("Mass", "Hernia")
    )
    with pytest.raises(RunError, match="score no finding in common"):
        compare_runs([first, second])


def test_the_reference_is_compared_on_the_films_that_it_was_not_trained_on(shared_films, tmp_path):
    folder = write_run(tmp_path / "run")
    with (shared_films / "manifest.csv").open(newline="") as file:
        films = {row["original_file_name"]: row["split_chexnet"] for row in csv.DictReader(file)}
    unseen = [image for image, part in films.items() if part == "test"][: FILMS // 2]
    seen = [image for image, part in films.items() if part == "train"][: FILMS // 2]
    images = {_name(row): image for row, image in enumerate(unseen + seen)}
    for name in ("films.csv", "predictions.csv"):
        text = re.sub(r"\d{8}_000\.png", lambda match: images[match[0]], (folder / name).read_text())
        (folder / name).write_text(text)
    result = compare_runs([folder], shared_films, resamples=5)
    assert 0 < result["films"] <= FILMS // 3 // 2 + 1
    assert result["differences"][0]["against"] == "reference"
    assert result["differences"][0]["auc"] == pytest.approx(
        result["runs"][0]["auc"] - result["reference"]["auc"], abs=2e-4
    )


def test_compare_prints_a_table_or_json(runs):
    folders = [runs / "full", runs / "weighted"]
    table, data = run_cxrtrain("compare", *folders), run_cxrtrain("compare", *folders, "--json")
    assert table.returncode == data.returncode == 0, table.stderr + data.stderr
    result = json.loads(data.stdout)
    assert "A minus B" in table.stdout and "differs from A in loss.positive_weights = balanced" in table.stdout
    assert f"{result['runs'][0]['auc']:.3f}" in table.stdout


def test_a_figure_that_went_away_is_named(runs, tmp_path):
    folder = write_run(tmp_path / "run")
    (folder / "evaluation").mkdir()
    evaluation = (runs / "full" / "evaluation" / "evaluation.json").read_text()
    (folder / "evaluation" / "evaluation.json").write_text(evaluation)
    with pytest.raises(RunError, match=r"auc\.png cannot be read"):
        write_report(folder, None, None, tmp_path / "report.html")
    assert not (tmp_path / "report.html").exists()
