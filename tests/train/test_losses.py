"""The losses against those of torch, torchvision, timm and scikit-learn, and the paper's own numbers."""

import numpy as np
import pytest
import torch
from cxrbundle.labels import FINDINGS
from cxrtrain.data.films import label_array
from cxrtrain.data.metadata import read_metadata
from cxrtrain.data.tasks import Task
from cxrtrain.learn.losses import (
    HEAVIEST,
    asymmetric,
    build_loss,
    class_weights,
    cooccurrence_weights,
    focal,
    positive_weights,
    source_free_weights,
)
from cxrtrain.networks.mend import import_timm, import_torchvision
from cxrtrain.recipe import LossSettings, TaskSettings
from sklearn.utils.class_weight import compute_class_weight

MULTI_LABEL = TaskSettings()
ONE_VS_ALL = TaskSettings(kind="one-vs-all")
# Films of ChestX-ray14 with at least one finding, and those with Pneumothorax.
FILMS, PNEUMOTHORAX = 51_759, 5_302


@pytest.fixture(scope="module")
def batch():
    """Return logits, and targets that hold films with and without every finding, both (40, 14)."""
    chance = torch.Generator().manual_seed(1)
    logits = 3 * torch.randn(40, 14, generator=chance)
    targets = (torch.rand(40, 14, generator=chance) < 0.3).float()
    return logits, targets


def loss_of(settings: dict, targets: torch.Tensor, task: TaskSettings = MULTI_LABEL):
    loss = LossSettings(**settings)
    return build_loss(loss, Task.of(task, loss), targets.numpy())


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


def test_class_weights_are_those_of_scikit_learn():
    classes = np.repeat([0, 1, 2], [50, 7, 3])
    expected = compute_class_weight("balanced", classes=np.arange(3), y=classes)
    np.testing.assert_allclose(class_weights(np.bincount(classes)), expected)


def test_the_papers_class_weights_come_out_for_its_counts():
    weights = class_weights(np.array([FILMS - PNEUMOTHORAX, PNEUMOTHORAX]))
    np.testing.assert_allclose(weights, [0.5571, 4.8811], atol=5e-5)
    np.testing.assert_allclose(weights, [0.5566, 4.902], rtol=5e-3)  # stated, of the training part


def test_a_class_without_films_weighs_one_and_not_infinitely_much():
    assert class_weights(np.array([10, 0])).tolist() == [0.5, 1]
    assert positive_weights("balanced", np.array([[0, 1], [0, 1]])).tolist() == [1, 1]


def test_balanced_positives_weigh_as_much_as_all_negatives():
    labels = np.zeros((100, 2))
    labels[:20, 0] = labels[:1, 1] = 1
    np.testing.assert_allclose(positive_weights("balanced", labels), [4, 99], rtol=1e-6)


def test_the_papers_positive_weights_are_near_one_where_the_balanced_ones_are_not(shared_films):
    films = read_metadata(shared_films / "meta" / "Data_Entry_2017_v2020.csv.gz")
    labels = label_array([film for film in films if any(film.labels)])
    paper = dict(zip(FINDINGS, positive_weights("paper", labels), strict=True))
    balanced = dict(zip(FINDINGS, positive_weights("balanced", labels), strict=True))
    assert np.isclose(np.mean(list(paper.values())), 1)
    assert min(paper, key=paper.get) == "Infiltration" and max(paper, key=paper.get) == "Hernia"
    assert 0.85 < paper["Infiltration"] < 1 < paper["Hernia"] < 1.07
    np.testing.assert_allclose([balanced["Infiltration"], balanced["Hernia"]], [1.6, 227], rtol=5e-3)


def test_the_papers_weight_of_one_finding_alone_is_one():
    assert cooccurrence_weights(np.array([[1], [0], [0]])).tolist() == [1]
    assert cooccurrence_weights(np.zeros((3, 2))).tolist() == [1, 1]


@pytest.mark.parametrize("kind", ["none", "balanced", "paper"])
def test_weighted_bce_is_torchs(batch, kind):
    logits, targets = batch
    given = torch.from_numpy(positive_weights(kind, targets.numpy()))
    expected = torch.nn.BCEWithLogitsLoss(pos_weight=given)(logits, targets)
    loss = loss_of({"kind": "bce", "positive_weights": kind}, targets)
    torch.testing.assert_close(loss(logits, targets, None), expected)


@pytest.mark.parametrize("kind", ["none", "balanced", "paper"])
def test_weighted_cross_entropy_is_torchs(batch, kind):
    logits, targets = batch[0][:, :2], batch[1][:, :1]
    present = targets[:, 0].long()
    counts = np.bincount(present.numpy())
    given = None if kind == "none" else torch.tensor(40 / (2 * counts)).float()
    expected = torch.nn.CrossEntropyLoss(weight=given)(logits, present)
    loss = loss_of({"kind": "cross-entropy", "positive_weights": kind}, targets, ONE_VS_ALL)
    torch.testing.assert_close(loss(logits, targets, None), expected)


def test_cross_entropy_of_two_outputs_is_bce_of_their_difference(batch):
    logits, targets = batch[0][:, :2], batch[1][:, :1]
    task = Task.of(ONE_VS_ALL, LossSettings(kind="cross-entropy"))
    pair = loss_of({"kind": "cross-entropy"}, targets, ONE_VS_ALL)(logits, targets, None)
    single = loss_of({"kind": "bce"}, targets, ONE_VS_ALL)(task.scores(logits), targets, None)
    torch.testing.assert_close(pair, single)


@pytest.mark.parametrize("focus", [0.0, 0.5, 2.0])
def test_the_focal_loss_is_torchvisions(batch, focus):
    logits, targets = batch
    torchvision = import_torchvision()
    expected = torchvision.ops.sigmoid_focal_loss(logits, targets, alpha=-1, gamma=focus, reduction="mean")
    torch.testing.assert_close(loss_of({"kind": "focal", "focus": focus}, targets)(logits, targets, None), expected)


@pytest.mark.parametrize("focus", [0.0, 2.0, 4.0])
def test_the_asymmetric_loss_is_timms(batch, focus):
    logits, targets = batch
    import_timm()
    from timm.loss import AsymmetricLossMultiLabel

    theirs = AsymmetricLossMultiLabel(gamma_neg=focus, gamma_pos=0, clip=0.05)
    loss = loss_of({"kind": "asymmetric", "focus": focus}, targets)
    torch.testing.assert_close(loss(logits, targets, None), theirs(logits, targets) / len(FINDINGS))


@pytest.mark.parametrize("kind", ["bce", "focal", "asymmetric"])
def test_positive_weights_multiply_the_loss_where_the_finding_is_present(batch, kind):
    logits, targets = batch[0][:, :1], batch[1][:, :1]
    present = targets[:, 0] == 1
    even, weighted = (loss_of({"kind": kind, "positive_weights": name}, targets) for name in ("none", "balanced"))
    ratio = float((~present).sum() / present.sum())
    for rows, factor in ((present, ratio), (~present, 1.0)):
        expected = factor * even(logits[rows], targets[rows], None)
        torch.testing.assert_close(weighted(logits[rows], targets[rows], None), expected)


@pytest.mark.parametrize("kind", ["bce", "cross-entropy", "focal", "asymmetric"])
def test_a_film_of_no_weight_teaches_nothing(batch, kind):
    task = ONE_VS_ALL if kind == "cross-entropy" else MULTI_LABEL
    targets = batch[1][:, :1] if kind == "cross-entropy" else batch[1]
    logits = batch[0][:, :2] if kind == "cross-entropy" else batch[0]
    loss = loss_of({"kind": kind, "positive_weights": "balanced"}, targets, task)
    weights = torch.ones_like(targets)
    torch.testing.assert_close(loss(logits, targets, weights * 0.5), loss(logits, targets, weights))
    weights[20:] = 0
    torch.testing.assert_close(loss(logits, targets, weights), loss(logits[:20], targets[:20], weights[:20]))
    assert loss(logits, targets, weights * 0) == 0


@pytest.mark.parametrize("point_loss", [focal, asymmetric])
@pytest.mark.parametrize("focus", [0.0, 0.5, 2.0])
def test_extreme_logits_have_finite_losses_and_gradients(point_loss, focus):
    logits = torch.tensor([[-300.0, -30.0, -3.0, 0.0, 3.0, 30.0, 300.0]] * 2, requires_grad=True)
    targets = torch.tensor([[0.0] * 7, [1.0] * 7])
    loss = point_loss(logits, targets, focus=focus)
    loss.sum().backward()
    assert torch.isfinite(loss).all() and torch.isfinite(logits.grad).all()
    assert (loss >= 0).all()
