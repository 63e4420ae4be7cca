"""Metrics equal scikit-learn's; parity and the lint say what they should."""

import numpy as np
import pytest
from cxrbundle.labels import FINDINGS
from cxrconvert.bodies import TfliteBody
from cxrconvert.card import DASH, number, table, with_interval
from cxrconvert.edgetpu.lint import check_for_edge_tpu
from cxrconvert.errors import NotForEdgeTpuError
from cxrconvert.metrics import interval, mean_defined, patient_weights, report, weighted_ap, weighted_auc
from cxrconvert.parity import Readings, auc_loss, compare, correlation
from cxrconvert.quantise import to_float, to_int8
from cxrconvert.rebuild import rebuild_body
from sklearn.metrics import average_precision_score, roc_auc_score
from tiny_run import SIZE, tiny_body


def some_films(films=80, findings=14, seed=0):
    random = np.random.default_rng(seed)
    labels = random.random((films, findings)) < 0.3
    return labels, (random.normal(0, 1, labels.shape) + labels).round(1)  # ties


def test_metrics_equal_scikit_learn():
    labels, scores = some_films()
    weights = patient_weights([f"p{i // 3}" for i in range(80)], resamples=5)
    for truth, score in zip(labels.T, scores.T, strict=True):
        auc, ap = weighted_auc(truth, score, weights), weighted_ap(truth, score, weights)
        for at, weight in enumerate(weights):
            assert auc[at] == pytest.approx(roc_auc_score(truth, score, sample_weight=weight))
            assert ap[at] == pytest.approx(average_precision_score(truth, score, sample_weight=weight))


def test_resamples_draw_whole_patients():
    weights = patient_weights(["a", "a", "b", "c"], resamples=50)
    assert (weights[0] == 1).all()
    assert (weights[:, 0] == weights[:, 1]).all()
    assert (weights[1:, [0, 2, 3]].sum(axis=1) == 3).all()


def test_a_finding_that_all_or_none_have_has_no_figures():
    labels, scores = some_films()
    labels[:, 0], labels[:, 1] = False, True
    table = report(labels, scores, patient_weights([str(i) for i in range(80)], resamples=20))
    for name in ("Atelectasis", "Cardiomegaly"):
        assert table[name] == {"auc": None, "auc_95": None, "ap": None, "ap_95": None}
    assert table["mean"]["auc"] == pytest.approx(
        np.mean([row["auc"] for name, row in table.items() if row["auc"] and name != "mean"]), abs=1e-3
    )


def test_means_and_intervals_leave_nan_out():
    assert mean_defined(np.array([[1, np.nan], [3, np.nan]])).tolist()[0] == 2
    assert interval(np.array([np.nan])) is None


def test_parity_of_a_reader_with_itself_and_with_noise():
    random = np.random.default_rng(0)
    labels, logits = some_films(findings=14)
    maps = random.normal(0, 1, (80, 14, 7, 7))
    same = compare(Readings(logits, maps), Readings(logits, maps))
    assert (same["logit_correlation_minimum"], same["map_correlation_median"]) == (1, 1)
    weights = patient_weights([str(i) for i in range(80)], resamples=200)
    none = auc_loss(labels, logits, logits, weights)
    assert (none["mean_auc_change"], none["mean_auc_change_95"]) == (0, [0, 0])
    assert set(none["auc_change"]) == set(FINDINGS)
    assert all(of == {"auc_change": 0, "auc_change_95": [0, 0]} for of in none["auc_change"].values())
    noisy = auc_loss(labels, logits, logits + random.normal(0, 2, logits.shape), weights)
    assert noisy["mean_auc_change_95"][0] <= noisy["mean_auc_change"] < 0


def test_correlation_of_a_constant_is_undefined():
    assert np.isnan(correlation(np.ones((1, 5)), np.arange(5.0)[np.newaxis])).all()


def test_lint_names_what_the_edge_tpu_refuses():
    body = rebuild_body(tiny_body())
    with pytest.raises(NotForEdgeTpuError, match="is float32; quantise it fully"):
        check_for_edge_tpu(to_float(body))


def test_quantisation_repeats_itself_and_takes_raw_pixels():
    films = np.random.default_rng(3).integers(100, 150, (16, SIZE, SIZE, 3), np.uint8)
    body = rebuild_body(tiny_body())
    one, other = (to_int8(body, films, 1 / 128, 127) for _ in range(2))
    assert one == other
    entry, features = TfliteBody(one, 1 / 128, 127).ends()
    assert (entry.scale, entry.zero_point) == (1 / 128, 127)
    assert (features.height, features.channels) == (8, 24)


def test_the_card_prints_a_dash_for_what_is_not_known():
    assert number(None) == DASH
    assert with_interval(None, "auc") == with_interval({"auc": None, "auc_95": None}, "auc") == DASH
    assert with_interval({"auc": 0.5, "auc_95": [0.4, 0.6]}, "auc") == "0.500 (0.400 to 0.600)"
    assert table(["a"], [["b"]]) == "| a |\n| --- |\n| b |"
