"""The small functions of the training room."""

import numpy as np
import torch
from cxrtrain.transforms.edge import augment
from cxrtrain.data.films import TEST, VALIDATION, read_films, split_by_patient
from cxrtrain.learn.losses import HEAVIEST, source_free_weights
from cxrtrain.evaluate.metrics import as_table, report
from cxrtrain.networks.network import scale_input
from cxrtrain.learn.schedule import warm_cosine


def test_under_the_weights_a_finding_is_independent_of_its_source():
    labels = np.array([[1]] * 30 + [[0]] * 10 + [[1]] * 10 + [[0]] * 50, np.float32)
    sources = ["a"] * 40 + ["b"] * 60
    weights = source_free_weights(labels, sources)[:, 0]
    rate = [np.average(labels[s, 0], weights=weights[s]) for s in (slice(0, 40), slice(40, 100))]
    assert np.isclose(rate[0], rate[1], atol=1e-6) and weights.max() <= HEAVIEST


def test_a_source_that_has_only_one_answer_teaches_nothing():
    labels = np.array([[0]] * 20 + [[1], [0]] * 5, np.float32)
    weights = source_free_weights(labels, ["healthy"] * 20 + ["mixed"] * 10)[:, 0]
    assert (weights[:20] == 0).all() and (weights[20:] > 0).all()


def test_the_real_split_holds_out_patients_the_reference_never_saw(shared_films):
    films = read_films(shared_films)
    parts = split_by_patient(films, seed=1)
    patients = {part: {f.patient for f, p in zip(films, parts, strict=True) if p == part} for part in set(parts)}
    assert len(set.union(*patients.values())) == sum(map(len, patients.values()))
    test = [film for film, part in zip(films, parts, strict=True) if part == TEST]
    assert all(film.held_out_by_reference for film in test)
    assert np.array([film.labels for film in test if not film.thumbnail]).sum(axis=0).min() >= 3
    assert len(patients[VALIDATION]) > 100
    assert split_by_patient(films, seed=1) == parts


def test_the_schedule_rises_and_falls():
    values = [warm_cosine(progress) for progress in np.linspace(0, 1, 101)]
    assert max(values) == 1.0 and values[0] < 0.2 and values[-1] < 0.02


def test_augmented_films_stay_films():
    films = torch.randint(0, 256, (6, 96, 96), dtype=torch.uint8)
    changed = augment(films, 64, torch.Generator().manual_seed(1))
    assert changed.shape == (6, 64, 64) and changed.min() >= 0 and changed.max() <= 255
    assert (changed == augment(films, 64, torch.Generator().manual_seed(1))).all()


def test_the_scaled_input_is_the_raw_pixel_of_the_int8_body():
    assert scale_input(torch.tensor([[[0.0, 127.0, 255.0]]]))[0, 0, 0].tolist() == [-127 / 128, 0, 1]


def test_a_perfect_reader_has_auc_one_and_a_finding_without_films_none():
    labels = np.zeros((20, 14))
    labels[:10, 0] = 1
    table = report(labels, {"reader": labels + 0.0}, [f"p{i}" for i in range(20)], resamples=20)["reader"]
    assert table["Atelectasis"]["auc"] == 1.0 and table["Atelectasis"]["auc_95"] == [1.0, 1.0]
    assert table["Hernia"]["auc"] is None and table["Hernia"]["auc_95"] is None


def test_the_table_has_a_line_for_each_finding_and_a_dash_where_nothing_is_known():
    labels = np.zeros((20, 14))
    labels[:10, 0] = 1
    scores = {"float": labels + 0.0, "reference": 1 - labels}
    lines = as_table(report(labels, scores, [f"p{i}" for i in range(20)], resamples=20)).splitlines()
    assert len(lines) == 16
    assert lines[1].split()[:3] == ["Atelectasis", "10", "1.000"]
    assert lines[14].split() == ["Hernia", "0", "-", "-", "-", "-"]
