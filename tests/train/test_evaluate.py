"""Measuring a run: metrics with known answers, calibration, thresholds, and the command on made-up predictions."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from cxrbundle.labels import FINDINGS
from cxrbundle.operating_point import Calibration
from cxrbundle.scores import likelihoods, sigmoid
from cxrtrain.data.reference import REFERENCE
from cxrtrain.errors import FilmsError, RunError
from cxrtrain.evaluate.bootstrap import drawn_metrics, patient_counts
from cxrtrain.evaluate.calibration import calibration_error, fit_calibrations, reliability
from cxrtrain.evaluate.curves import area, macro_roc, rounded_average_precision
from cxrtrain.evaluate.decisions import average_decisions, count_decisions, sample_weights
from cxrtrain.evaluate.evaluate_command import write_evaluation
from cxrtrain.evaluate.evaluation import evaluate_run
from cxrtrain.evaluate.metrics import as_table, mean_auc, report
from cxrtrain.evaluate.predictions import FILM_COLUMNS
from cxrtrain.evaluate.reference import reference_scores
from cxrtrain.evaluate.thresholds import RULES, call, choose_thresholds
from sklearn.metrics import average_precision_score, f1_score, roc_auc_score
from sklearn.utils.class_weight import compute_sample_weight
from train_command import run_cxrtrain

FIGURES = ("roc", "pr", "reliability", "thresholds", "auc", "subgroups")
PATIENTS = [f"p{i}" for i in range(20)]


def noisy(seed: int, films: int = 120, findings: int = 14, skill: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Return labels and the scores of a reader of that skill, with ties."""
    chance = np.random.default_rng(seed)
    labels = (chance.random((films, findings)) < 0.25).astype(int)
    return labels, np.round(chance.normal(size=labels.shape) + skill * labels - 1.5, 1)


# Ranking


def test_a_perfect_reader_has_auc_one_and_a_finding_without_films_none():
    labels = np.zeros((20, 14))
    labels[:10, 0] = 1
    table = report(labels, {"reader": labels + 0.0}, PATIENTS, resamples=20)["reader"]
    assert table["Atelectasis"]["auc"] == 1.0 and table["Atelectasis"]["auc_95"] == [1.0, 1.0]
    assert table["Hernia"]["auc"] is None and table["Hernia"]["auc_95"] is None


def test_chance_lies_in_the_interval_of_a_reader_without_skill_and_not_in_that_of_a_good_one():
    patients = [f"p{i // 2}" for i in range(300)]
    for skill, inside in ((0.0, True), (2.0, False)):
        labels, scores = noisy(3, 300, skill=skill)
        low, high = report(labels, {"reader": scores}, patients, resamples=200)["reader"]["mean"]["auc_95"]
        assert (low < 0.5 < high) == inside


def test_every_draw_has_the_auc_and_ap_that_scikit_learn_has_on_its_films():
    labels, scores = noisy(1, 60)
    counts = patient_counts([f"p{i // 3}" for i in range(60)], 30)
    auc, ap = drawn_metrics(labels[:, 0], scores[:, 0], counts)
    for draw, own_auc, own_ap in zip(counts, auc, ap, strict=True):
        rows = np.repeat(np.arange(60), draw)
        assert own_auc == pytest.approx(roc_auc_score(labels[rows, 0], scores[rows, 0]))
        assert own_ap == pytest.approx(average_precision_score(labels[rows, 0], scores[rows, 0]))


def test_answers_of_several_findings_follow_the_draws_of_their_films():
    labels, scores = noisy(2, 40, 3)
    counts = patient_counts([f"p{i}" for i in range(40)], 5)
    auc, _ = drawn_metrics(labels.ravel(), scores.ravel(), counts, np.repeat(np.arange(40), 3))
    for draw, own in zip(counts, auc, strict=True):
        rows = np.repeat(np.arange(40), draw)
        assert own == pytest.approx(roc_auc_score(labels[rows].ravel(), scores[rows].ravel()))


def test_patients_are_drawn_whole_and_as_many_as_there_are():
    counts = patient_counts(["a", "b", "a", "c"], 50)
    assert (counts[:, 0] == counts[:, 2]).all() and (counts[:, [0, 1, 3]].sum(axis=1) == 3).all()


def test_a_draw_without_positives_has_no_auc():
    auc, ap = drawn_metrics(np.array([1, 0, 0]), np.array([2.0, 1, 0]), np.array([[0, 2, 1], [1, 1, 1]]))
    assert np.isnan([auc[0], ap[0]]).all() and (auc[1], ap[1]) == (1, 1)


def test_the_table_has_a_line_for_each_finding_and_a_dash_where_nothing_is_known():
    labels = np.zeros((20, 14))
    labels[:10, 0] = 1
    scores = {"float": labels + 0.0, "reference": 1 - labels}
    lines = as_table(report(labels, scores, PATIENTS, resamples=20)).splitlines()
    assert len(lines) == 16
    assert lines[1].split()[:3] == ["Atelectasis", "10", "1.000"]
    assert lines[14].split() == ["Hernia", "0", "-", "-", "-", "-"]


def test_no_films_at_all_make_a_table_of_dashes():
    nothing = np.zeros((0, 14))
    lines = as_table(report(nothing, {"float": nothing}, [], resamples=20)).splitlines()
    assert lines[-1].split() == ["mean", "-", "-"] and mean_auc(nothing, nothing) == 0.5


def test_the_macro_curve_encloses_about_the_mean_auc():
    labels, scores = noisy(4, 400)
    assert area(macro_roc(labels, scores)) == pytest.approx(mean_auc(labels, scores), abs=0.003)
    assert macro_roc(np.zeros((4, 2)), np.ones((4, 2))) is None


def test_the_ap_of_rounded_probabilities_is_that_of_hard_decisions():
    truth, logits = np.array([1, 0, 1, 0, 0, 0]), np.array([3.0, 2, -1, -2, -3, -4])
    # Half of the called films have it, at a recall of a half; then a third of all.
    assert rounded_average_precision(truth, logits) == pytest.approx(0.5 * 0.5 + 0.5 * 2 / 6)
    assert average_precision_score(truth, logits) == pytest.approx(0.5 * 1 + 0.5 * 2 / 3)


# Decisions


def test_the_weights_of_one_finding_are_scikit_learns_balanced_ones():
    truth = np.array([1] * 3 + [0] * 9)
    assert sample_weights(truth).tolist() == [12 / 6] * 3 + [12 / 18] * 9
    assert sample_weights(truth) == pytest.approx(compute_sample_weight("balanced", truth))


def test_a_film_of_several_findings_weighs_as_their_mean_and_one_of_none_has_a_class_of_its_own():
    truth = np.array([[1, 0], [1, 1], [0, 0], [0, 0]])
    first, second, none = 4 / (3 * 2), 4 / (3 * 1), 4 / (3 * 2)
    assert sample_weights(truth) == pytest.approx([first, (first + second) / 2, none, none])


@pytest.mark.parametrize("average", ["micro", "macro", "weighted", "samples"])
@pytest.mark.parametrize("weighted", [False, True])
def test_averages_over_findings_are_scikit_learns(average, weighted):
    truth, scores = noisy(5)
    called, weights = call(scores, [-1.0] * 14), sample_weights(truth) if weighted else None
    expected = f1_score(truth, called, average=average, sample_weight=weights, zero_division=0)
    table = average_decisions(truth, called, weights)
    assert table["f1"][average] == pytest.approx(expected, abs=1e-4) and table["f1"]["binary"] is None


def test_a_finding_is_averaged_over_its_two_classes():
    truth, called = np.array([1, 1, 0, 0, 0]), np.array([1, 0, 1, 0, 0])
    table = average_decisions(truth, called)
    assert table["f1"] == {
        "binary": 0.5,
        "micro": 0.6,
        "macro": pytest.approx((0.5 + 2 / 3) / 2, abs=1e-4),
        "weighted": pytest.approx(0.4 * 0.5 + 0.6 * 2 / 3, abs=1e-4),
        "samples": 0.6,
    }
    assert table["accuracy"] == 0.6


def test_counts_give_their_ratios_and_none_where_there_is_nothing_to_divide_by():
    table = count_decisions(np.array([1, 1, 0, 0, 0]), np.array([1, 0, 1, 0, 0]))
    assert [table[name] for name in ("sensitivity", "specificity", "precision", "f1")] == [0.5, 0.6667, 0.5, 0.5]
    nothing = count_decisions(np.zeros(3), np.zeros(3))
    assert nothing["sensitivity"] is None and nothing["precision"] is None and nothing["specificity"] == 1


# Calibration


def test_calibration_recovers_the_slope_and_intercept_that_distorted_the_logits():
    chance = np.random.default_rng(6)
    honest = chance.normal(-1, 2, (20_000, 2))
    labels = (chance.random(honest.shape) < sigmoid(honest)).astype(int)
    slopes, intercepts = np.array([0.5, 0.6]), np.array([1.0, -0.5])
    fits = fit_calibrations(labels, (honest - intercepts) / slopes)
    assert [fit.slope for fit in fits] == pytest.approx(slopes, rel=0.05)
    assert [fit.intercept for fit in fits] == pytest.approx(intercepts, abs=0.08)
    calibrated = likelihoods((honest - intercepts) / slopes, fits)
    assert calibration_error(labels[:, 0], calibrated[:, 0]) < 0.015
    assert calibration_error(labels[:, 0], sigmoid((honest[:, 0] - 1) / 0.5)) > 0.1


def test_a_finding_with_one_positive_or_none_keeps_a_sane_and_rising_calibration():
    labels, scores = noisy(7, 200)
    labels[:, 12:] = 0
    labels[np.argmin(scores[:, 12]), 12] = 1
    fits = fit_calibrations(labels, scores)
    common = np.median([fit.slope for fit in fits[:12]])
    assert all(0.3 * common < fit.slope < 2 * common for fit in fits[12:])
    assert (likelihoods(scores, fits)[:, 13] < 0.1).all()


def test_scores_that_are_all_the_same_are_calibrated_to_the_frequency():
    labels = np.array([[1]] * 100 + [[0]] * 300)
    fit = fit_calibrations(labels, np.zeros((400, 1)))
    assert likelihoods(np.zeros((1, 1)), fit)[0, 0] == pytest.approx(0.25, abs=0.01)


def test_the_calibration_error_is_the_distance_of_likelihood_and_frequency():
    truth = np.array([1, 0] * 50)
    assert calibration_error(truth, np.full(100, 0.5)) == 0
    assert calibration_error(truth, np.full(100, 0.8)) == pytest.approx(0.3)
    assert reliability(truth, np.linspace(0, 1, 100))[2].tolist() == [10] * 10


# Thresholds


def test_a_perfect_reader_is_cut_between_the_films_with_and_without():
    truth, logits = np.array([0] * 6 + [1] * 4), np.arange(10.0)
    chosen = choose_thresholds(truth, logits)
    assert chosen["youden"] == chosen["best_f1"] == chosen["sensitivity_90"] == 6
    assert (call(logits, chosen["youden"]) == truth).all()


def test_the_thresholds_are_the_best_of_all_films():
    labels, scores = noisy(8, 300, 1)
    truth, logits = labels[:, 0], scores[:, 0]
    chosen = choose_thresholds(truth, logits)
    tables = {at: count_decisions(truth, call(logits, at)) for at in np.unique(logits)}
    own = {rule: tables[at] for rule, at in chosen.items() if rule != "half"}
    youden = {at: table["sensitivity"] + table["specificity"] for at, table in tables.items()}
    assert youden[chosen["youden"]] == max(youden.values())
    assert own["best_f1"]["f1"] == max(table["f1"] for table in tables.values())
    assert chosen["sensitivity_90"] == max(at for at, table in tables.items() if table["sensitivity"] >= 0.9)


def test_without_a_positive_there_is_no_threshold_but_a_half():
    chosen = choose_thresholds(np.zeros(5, int), np.arange(5.0))
    assert chosen == {"half": 0.0, "youden": None, "best_f1": None, "sensitivity_90": None}


# The command


def write_run(folder: Path, findings=FINDINGS, seed: int = 0, hard: bool = False) -> Path:
    """Write films.csv and predictions.csv of 100 validation and 160 test films, two a patient, and some others."""
    folder.mkdir(parents=True, exist_ok=True)
    labels, logits = noisy(seed, 280)
    if hard:
        # On validation films no finding, on test films one that all have.
        labels[:100, 13], labels[100:, 12], labels[:100, 12] = 0, 1, 0
    parts = ["validation"] * 100 + ["test"] * 160 + ["train"] * 10 + [""] * 10
    with (folder / "films.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "thumbnail", *FILM_COLUMNS])
        for i, part in enumerate(parts):
            about = [
                f"p{i // 2}",
                "ab"[i % 3 == 0],
                part,
                "" if i % 10 == 0 else i % 90,
                "MF"[i % 2],
                ("PA", "AP", "")[i % 3],
            ]
            writer.writerow([f"{i}.jpg", 0, f"{i:08}_000.png", *about, *labels[i]])
    with (folder / "predictions.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["name", "part", *findings])
        columns = [FINDINGS.index(finding) for finding in findings]
        for i in range(260):
            writer.writerow([f"{i:08}_000.png", parts[i], *logits[i, columns]])
    return folder


@pytest.fixture(scope="module")
def made_run(tmp_path_factory) -> Path:
    return write_run(tmp_path_factory.mktemp("made") / "run")


@pytest.fixture(scope="module")
def evaluation(made_run) -> dict:
    return evaluate_run(made_run, "test", None, 50).figures


def edit(run: Path, name: str, change) -> None:
    """Rewrite a CSV file, its rows changed by a function of (number, row)."""
    with (run / name).open(newline="") as file:
        rows = list(csv.reader(file))
    with (run / name).open("w", newline="") as file:
        csv.writer(file).writerows([rows[0], *(change(i, row) for i, row in enumerate(rows[1:]))])


def test_the_evaluation_is_of_the_asked_part_and_equals_scikit_learn(made_run, evaluation):
    labels, logits = noisy(0, 280)
    labels, logits = labels[100:260], logits[100:260]
    assert (evaluation["part"], evaluation["films"], evaluation["patients"]) == ("test", 160, 80)
    assert evaluation["validation"] == {"films": 100, "patients": 50}
    effusion = evaluation["findings"]["Effusion"]
    assert effusion["positives"] == labels[:, 2].sum()
    assert effusion["auc"] == pytest.approx(roc_auc_score(labels[:, 2], logits[:, 2]), abs=1e-4)
    assert effusion["ap"] == pytest.approx(average_precision_score(labels[:, 2], logits[:, 2]), abs=1e-4)
    assert effusion["auc_95"][0] < effusion["auc"] < effusion["auc_95"][1]
    assert evaluation["mean"]["auc"] == pytest.approx(roc_auc_score(labels, logits, average="macro"), abs=1e-4)
    assert evaluation["micro"]["auc"] == pytest.approx(roc_auc_score(labels, logits, average="micro"), abs=1e-4)
    assert evaluation["averages"]["half"]["plain"]["f1"]["micro"] == pytest.approx(
        f1_score(labels, logits >= 0, average="micro"), abs=1e-4
    )


def test_thresholds_and_calibration_come_from_validation_films_only(tmp_path):
    run = write_run(tmp_path / "run", ("Edema", "Hernia"))
    straight = evaluate_run(run, "test", None, 0).figures["findings"]
    # Turn the logits of the test films round.
    edit(run, "predictions.csv", lambda _, row: [*row[:2], *(-float(v) for v in row[2:])] if row[1] == "test" else row)
    turned = evaluate_run(run, "test", None, 0).figures["findings"]
    for row, other in zip(straight.values(), turned.values(), strict=True):
        assert other["auc"] == pytest.approx(1 - row["auc"], abs=2e-4) and other["auc_95"] is None
        for key in ("slope", "intercept", "positives_on_validation"):
            assert other["calibration"][key] == row["calibration"][key]
        for rule in RULES:
            assert other["thresholds"][rule]["logit"] == row["thresholds"][rule]["logit"]


def test_a_threshold_says_how_many_validation_films_it_stands_on_and_what_it_is_worth(evaluation):
    labels, logits = noisy(0, 280)
    for i, row in enumerate(evaluation["findings"].values()):
        at = row["thresholds"]["sensitivity_90"]
        assert at["positives_on_validation"] == labels[:100, i].sum()
        called = logits[100:260, i] >= at["logit"]
        assert at["sensitivity"] == pytest.approx(called[labels[100:260, i] == 1].mean(), abs=1e-4)
        calibration = Calibration(row["calibration"]["slope"], row["calibration"]["intercept"])
        assert at["likelihood"] == pytest.approx(likelihoods(np.array([at["logit"]]), [calibration])[0], abs=1e-4)


def test_groups_cover_all_films_and_the_unknown_are_none(evaluation):
    groups = evaluation["subgroups"]
    names = {by: [group["group"] for group in groups if group["by"] == by] for by in ("sex", "age", "view", "source")}
    assert names == {
        "sex": ["F", "M"],
        "age": ["0-17", "18-39", "40-64", "65+", None],
        "view": ["AP", "PA", None],
        "source": ["a", "b"],
    }
    for by in names:
        assert sum(group["films"] for group in groups if group["by"] == by) == 160


def test_a_group_counts_only_findings_of_five_films_with_and_five_without(evaluation):
    for group in evaluation["subgroups"]:
        for row in group["findings"].values():
            countable = 5 <= row["positives"] <= group["films"] - 5
            assert (row["auc"] is not None) == countable and (row["auc_95"] is not None) == countable


def test_the_command_writes_tables_figures_and_json_and_prints_the_main_figures(tmp_path, capsys):
    findings = FINDINGS[9:]
    write_evaluation(write_run(tmp_path / "run", findings, hard=True), tmp_path / "out", resamples=10)
    figures = json.loads((tmp_path / "out" / "evaluation.json").read_text(), parse_constant=pytest.fail)
    assert figures["findings"].keys() == set(findings) and figures["reference"] is None
    for name in FIGURES:
        assert (tmp_path / "out" / f"{name}.png").read_bytes().startswith(b"\x89PNG")
        assert "</svg>" in (tmp_path / "out" / f"{name}.svg").read_text()
    with (tmp_path / "out" / "thresholds.csv").open(newline="") as file:
        # Two findings have but one of four thresholds.
        assert len(list(csv.DictReader(file))) == 5 * len(RULES) - 6
    assert not (tmp_path / "out" / "reference.csv").exists()
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "test: 160 films of 80 patients" and lines[2].startswith("Edema")


def test_a_run_of_one_finding_is_evaluated_from_the_command_line_and_the_same_again(tmp_path):
    run = write_run(tmp_path / "run", ("Pneumothorax",))
    done = run_cxrtrain("evaluate", run, "--resamples", 20)
    assert done.returncode == 0, done.stderr
    write_evaluation(run, tmp_path / "again", resamples=20)
    for path in (run / "evaluation").iterdir():
        assert path.read_bytes() == (tmp_path / "again" / path.name).read_bytes(), path.name
    figures = json.loads((run / "evaluation" / "evaluation.json").read_text())
    assert list(figures["findings"]) == ["Pneumothorax"]
    own = figures["findings"]["Pneumothorax"]
    assert figures["averages"]["youden"]["plain"] == own["one_vs_all"]["youden"]["plain"]
    assert own["one_vs_all"]["youden"]["plain"]["f1"]["binary"] == own["thresholds"]["youden"]["f1"]


def test_findings_that_cannot_be_measured_are_none_and_the_rest_goes_on(tmp_path):
    figures = evaluate_run(write_run(tmp_path / "run", FINDINGS[9:], hard=True), "test", None, 10).figures
    pleural, hernia = figures["findings"]["Pleural_Thickening"], figures["findings"]["Hernia"]
    assert pleural["auc"] is None and pleural["ap_of_rounded"] is None
    assert hernia["auc"] is not None and hernia["thresholds"]["youden"] is None
    assert hernia["thresholds"]["half"]["positives_on_validation"] == 0
    assert figures["mean"]["findings"] == 4 and figures["averages"]["youden"]["findings"] == 3


# Refusals


def test_a_run_without_predictions_is_refused(tmp_path):
    with pytest.raises(RunError, match=r"has no predictions\.csv; name the folder"):
        evaluate_run(tmp_path, "test", None, 0)


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("films.csv", lambda _, row: [*row[:2], "", *row[3:]], "is not of the form that `cxrtrain fit` writes"),
        ("predictions.csv", lambda i, row: ["x.png", *row[1:]] if i == 3 else row, "1 films are not in that part"),
        ("predictions.csv", lambda i, row: [row[0], "test", *row[2:]] if i == 3 else row, "1 films are not in that"),
        ("predictions.csv", lambda i, row: ["00000000_000.png", *row[1:]] if i == 3 else row, "has 1 films twice"),
        ("predictions.csv", lambda i, row: [*row[:2], "high", *row[3:]] if i == 3 else row, "that is no number"),
        ("predictions.csv", lambda i, row: [*row[:2], "nan", *row[3:]] if i == 3 else row, "are not finite"),
    ],
)
def test_a_run_of_another_form_is_refused_in_one_sentence(tmp_path, name, change, message):
    run = write_run(tmp_path / "run")
    edit(run, name, change)
    with pytest.raises(RunError, match=message) as caught:
        evaluate_run(run, "test", None, 0)
    assert "\n" not in str(caught.value)


def test_an_unknown_finding_is_refused(tmp_path):
    run = write_run(tmp_path / "run")
    text = (run / "predictions.csv").read_text()
    (run / "predictions.csv").write_text(text.replace("Hernia", "Fracture", 1))
    with pytest.raises(RunError, match="only findings may stand"):
        evaluate_run(run, "test", None, 0)


@pytest.mark.parametrize("part", ["test", "validation"])
def test_a_part_without_films_is_refused_by_its_name(tmp_path, part):
    run = write_run(tmp_path / "run")
    lines = (run / "predictions.csv").read_text().splitlines(keepends=True)
    (run / "predictions.csv").write_text("".join(line for line in lines if f",{part}," not in line))
    with pytest.raises(RunError, match=f"no predictions of {part} films"):
        evaluate_run(run, "test", None, 0)


def test_fewer_than_no_resamples_and_a_folder_that_is_a_file_are_refused(tmp_path):
    run = write_run(tmp_path / "run", ("Mass",))
    with pytest.raises(RunError, match="--resamples -1 is below 0"):
        write_evaluation(run, tmp_path / "out", resamples=-1)
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="cannot be written"):
        write_evaluation(run, tmp_path / "file", resamples=0)


# The reference


def write_films(folder: Path, unseen: range) -> Path:
    """Write a folder of films whose reference is a perfect reader; UNSEEN are of its test split."""
    labels, _ = noisy(0, 280)
    (folder / "meta").mkdir(parents=True)
    head = ("dataset", "quality", "path", "age", "sex", "view", "original_file_name", "patient_id", "source_repo")
    with (folder / "manifest.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*head, "split_official", "split_chexnet", *FINDINGS])
        for i, row in enumerate(labels):
            (folder / f"{i}.jpg").touch()
            about = ["nih14", "", f"{i}.jpg", "", "F", "PA", f"{i:08}_000.png", f"p{i // 2}", "a", "test"]
            writer.writerow([*about, "test" if i in unseen else "train", *row])
    with (folder / REFERENCE).open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["Image Index", *(f"prob_{finding}" for finding in FINDINGS)])
        writer.writerows([f"{i:08}_000.png", *row] for i, row in enumerate(labels))
    return folder


def test_the_reference_is_set_beside_the_run_on_the_films_it_never_saw(tmp_path, capsys):
    run = write_run(tmp_path / "run", ("Edema", "Hernia"))
    alone = evaluate_run(run, "test", None, 20).figures
    films = write_films(tmp_path / "films", range(200, 280))
    write_evaluation(run, tmp_path / "out", films=films, resamples=20)
    figures = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    beside = figures["reference"]
    assert (beside["films"], beside["patients"]) == (60, 30)
    assert beside["mean"]["reference"]["auc"] == 1 and beside["mean"]["run"]["auc"] != alone["mean"]["auc"]
    assert beside["mean"]["auc_difference"] == pytest.approx(beside["mean"]["run"]["auc"] - 1, abs=2e-4)
    assert beside["mean"]["auc_difference_95"][1] < 0
    assert figures["mean"] == alone["mean"]
    assert (tmp_path / "out" / "reference.csv").is_file() and "60 films that neither" in capsys.readouterr().out


def test_figures_that_flatter_and_a_reference_that_knows_all_films_come_with_a_warning(tmp_path, caplog):
    run, films = write_run(tmp_path / "run", ("Mass",)), write_films(tmp_path / "films", range(0))
    write_evaluation(run, tmp_path / "out", "validation", films, resamples=0)
    assert json.loads((tmp_path / "out" / "evaluation.json").read_text())["reference"] is None
    assert "they flatter" in caplog.text and "reference is left out" in caplog.text


def test_a_folder_without_a_reference_is_refused(made_run, tmp_path):
    with pytest.raises(FilmsError, match="leave --films away"):
        evaluate_run(made_run, "test", tmp_path, 0)


def test_the_real_reference_is_measured_on_its_test_split_only(shared_films):
    with (shared_films / "manifest.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["dataset"] == "nih14"]
    images = [row["original_file_name"] for row in rows]
    own, scores = reference_scores(shared_films, images, ("Effusion", "Hernia"))
    assert len(own) > 300 and {rows[i]["split_chexnet"] for i in own} == {"test"}
    effusion = [int(rows[i]["Effusion"]) for i in own]
    assert scores.shape == (len(own), 2) and roc_auc_score(effusion, scores[:, 0]) > 0.8


def test_a_run_in_which_one_finding_alone_has_a_threshold_is_evaluated(tmp_path):
    run = write_run(tmp_path / "run")
    # The labels are the last columns: on validation films none but the first finding.
    edit(run, "films.csv", lambda i, row: [*row[:-13], *["0"] * 13] if i < 100 else row)
    averages = evaluate_run(run, "test", None, 20).figures["averages"]
    assert averages["youden"]["findings"] == 1 and averages["half"]["findings"] == 14
