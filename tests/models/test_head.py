"""The numpy heads against torch and against its gradients."""

import numpy as np
import pytest
import torch
from cxrbundle.errors import ManifestError
from cxrbundle.head import KINDS, build_head
from cxrbundle.manifest import HEAD_KINDS
from torch import nn

CHANNELS, HIDDEN, FINDINGS = 24, 16, 14


@pytest.fixture
def features():
    return np.random.default_rng(0).normal(size=(7, 7, CHANNELS)).astype(np.float32)


def test_a_manifest_may_name_the_heads_there_are():
    assert tuple(KINDS) == HEAD_KINDS


def as_torch(features: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(features.transpose(2, 0, 1).copy())[None].requires_grad_()


def hires_cam(logits: torch.Tensor, maps: torch.Tensor) -> np.ndarray:
    """Return sum_k dy_c/dA_k A_k of each finding by back-propagation."""
    gradients = [torch.autograd.grad(logit, maps, retain_graph=True)[0] for logit in logits]
    return np.stack([(gradient * maps).sum(dim=1)[0].detach().numpy() for gradient in gradients])


def grad_cam(logits: torch.Tensor, maps: torch.Tensor) -> np.ndarray:
    """Return sum_k alpha_ck A_k of each finding by back-propagation, alpha the mean gradient."""
    gradients = [torch.autograd.grad(logit, maps, retain_graph=True)[0] for logit in logits]
    alphas = [gradient.mean(dim=(2, 3), keepdim=True) for gradient in gradients]
    return np.stack([(alpha * maps).sum(dim=1)[0].detach().numpy() for alpha in alphas])


def test_pool_linear_equals_torch(features):
    linear = nn.Linear(CHANNELS, FINDINGS)
    output = build_head("pool-linear", {k: v.detach().numpy() for k, v in linear.named_parameters()})(features)
    maps = as_torch(features)
    logits = linear(maps.mean(dim=(2, 3)))[0]
    np.testing.assert_allclose(output.logits, logits.detach().numpy(), atol=1e-5)
    # The HiResCAM of mean pooling is the class map divided by the number of places.
    np.testing.assert_allclose(output.maps / 49, hires_cam(logits, maps), atol=1e-5)
    np.testing.assert_allclose(output.maps.mean(axis=(1, 2)) + linear.bias.detach().numpy(), output.logits, atol=1e-5)
    np.testing.assert_allclose(output.pooled, features.mean(axis=(0, 1)), atol=1e-6)


class PaperHead(nn.Module):
    """The paper's head as fastai builds it, in evaluation."""

    def __init__(self):
        super().__init__()
        self.norm1, self.linear1 = nn.BatchNorm1d(2 * CHANNELS), nn.Linear(2 * CHANNELS, HIDDEN)
        self.norm2, self.linear2 = nn.BatchNorm1d(HIDDEN), nn.Linear(HIDDEN, FINDINGS)
        for norm in (self.norm1, self.norm2):
            for values in (norm.weight.data, norm.bias.data, norm.running_mean):
                values.normal_()
            norm.running_var.uniform_(0.5, 2)
        self.eval()

    def forward(self, maps):
        pooled = torch.cat([maps.amax(dim=(2, 3)), maps.mean(dim=(2, 3))], dim=1)
        return self.linear2(self.norm2(torch.relu(self.linear1(self.norm1(pooled)))))


def paper_weights(head: PaperHead) -> dict[str, np.ndarray]:
    weights = {}
    for number in (1, 2):
        norm, linear = getattr(head, f"norm{number}"), getattr(head, f"linear{number}")
        scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
        weights[f"scale{number}"] = scale.detach().numpy()
        weights[f"shift{number}"] = (norm.bias - norm.running_mean * scale).detach().numpy()
        weights[f"weight{number}"] = linear.weight.detach().numpy()
        weights[f"bias{number}"] = linear.bias.detach().numpy()
    return weights


def test_concat_pool_equals_torch_and_its_gradients(features):
    torch.manual_seed(0)
    head = PaperHead()
    built = build_head("concat-pool", paper_weights(head))
    output = built(features)
    maps = as_torch(features)
    logits = head(maps)[0]
    np.testing.assert_allclose(output.logits, logits.detach().numpy(), atol=1e-5)
    np.testing.assert_allclose(output.maps, grad_cam(logits, maps), atol=1e-5)
    np.testing.assert_allclose(built.hires_cam(features), hires_cam(logits, maps), atol=1e-5)


def test_an_unknown_kind_is_named():
    with pytest.raises(ManifestError, match="'vote' is unknown"):
        build_head("vote", {})


def test_missing_weights_are_named():
    with pytest.raises(ManifestError, match="'bias'"):
        build_head("pool-linear", {"weight": np.zeros((14, 3))})
