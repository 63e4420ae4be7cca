"""Where a network looks: maps, localisation and the command."""

import argparse
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from cxrbundle.bundle import load_bundle
from cxrbundle.head import KINDS, build_head
from cxrbundle.labels import FINDINGS
from cxrbundle.phantom import draw_phantom
from cxrtrain.data.films import Film
from cxrtrain.data.tables import write_rows
from cxrtrain.errors import FilmsError, RecipeError, RunError
from cxrtrain.explain.boxed import choose_boxed
from cxrtrain.explain.choose import held_out
from cxrtrain.explain.explain import load_explained
from cxrtrain.explain.explain_command import add_explain_command
from cxrtrain.explain.figures import border_share
from cxrtrain.explain.localise import (
    QUESTIONS,
    Case,
    centre_heat,
    find_regions,
    judge,
    judge_chance,
    localisation_table,
    overlap_with,
    points_inside,
    random_heat,
    read_boxes,
)
from cxrtrain.explain.maps import (
    class_map,
    film_heats,
    grad_cam,
    guided_backprop,
    hires_cam,
    map_films,
    methods_of,
)
from cxrtrain.explain.settings import GRAD_CAM, GUIDED_GRAD_CAM, METHODS
from cxrtrain.networks.heads import ClassMapHead, ConcatPoolHead
from cxrtrain.networks.network import Network, build_network, load_network, predict, save_network
from cxrtrain.recipe import NetworkSettings, Recipe, make_recipe, write_recipe
from cxrtrain.report.run_folder import read_run
from torch import nn

CHANNELS, FINDING, SIZE = 12, 3, 64
PARTS = ["train"] * 4 + ["validation"] * 8 + ["test"] * 4 + [""]
COLUMNS = ("path", "name", "patient", "source", "thumbnail", "part", "age", "sex", "view", *FINDINGS)
LIST_HEADER = ("Image Index", "Finding Label", "Bbox [x", "y", "w", "h]", "", "", "")


def make_head(kind) -> nn.Module:
    """Return a head in double precision whose batch norms have seen something."""
    torch.manual_seed(1)
    head = kind(CHANNELS, 5, 0.2) if kind is ClassMapHead else kind(CHANNELS, 5, hidden=16)
    for norm in (module for module in head.modules() if isinstance(module, nn.BatchNorm1d)):
        for values in (norm.weight, norm.bias, norm.running_mean, norm.running_var):
            nn.init.uniform_(values, 0.2, 2.0)
    return head.double().eval()


def make_features() -> torch.Tensor:
    return torch.rand((3, CHANNELS, 4, 5), generator=torch.Generator().manual_seed(2), dtype=torch.float64)


def numpy_maps(head: nn.Module, features: torch.Tensor) -> np.ndarray:
    """Return what the box's head draws of one finding."""
    device = KINDS[head.kind](**{name: array.numpy() for name, array in head.arrays().items()})
    return np.array([device(film.permute(1, 2, 0).numpy()).maps[FINDING] for film in features])


def test_hirescam_is_the_closed_form_of_the_boxs_class_map_head():
    head, features = make_head(ClassMapHead), make_features()
    found = 20 * hires_cam(head, features, FINDING).numpy()
    np.testing.assert_allclose(found, numpy_maps(head, features), atol=1e-5)


def test_both_maps_of_a_concat_pool_head_are_the_closed_forms_of_the_boxs():
    head, features = make_head(ConcatPoolHead), make_features()
    drawn = np.maximum(numpy_maps(head, features), 0)
    np.testing.assert_allclose(grad_cam(head, features, FINDING).numpy(), drawn, atol=1e-5)
    device = KINDS[head.kind](**{name: array.numpy() for name, array in head.arrays().items()})
    for film, found in zip(features, hires_cam(head, features, FINDING).numpy(), strict=True):
        np.testing.assert_allclose(found, device.hires_cam(film.permute(1, 2, 0).numpy())[FINDING], atol=1e-5)


def test_grad_cam_of_a_class_map_head_is_the_positive_part_of_its_class_map():
    head, features = make_head(ClassMapHead), make_features()
    expected = class_map(head, features, FINDING).relu() / 20
    torch.testing.assert_close(grad_cam(head, features, FINDING), expected, atol=1e-5, rtol=0)


def test_the_class_map_is_the_hirescam_and_with_the_bias_its_mean_is_the_logit():
    head, features = make_head(ClassMapHead), make_features()
    maps = class_map(head, features, FINDING)
    torch.testing.assert_close(maps, 20 * hires_cam(head, features, FINDING), atol=1e-5, rtol=0)
    logits = maps.mean(dim=(1, 2)) + head.answer.bias[FINDING]
    torch.testing.assert_close(logits, head(features)[:, FINDING], atol=1e-5, rtol=0)


def test_the_map_of_the_shipped_network_is_its_hirescam(bundle_folder):
    shipped = load_bundle(bundle_folder).head
    assert shipped.kind == ClassMapHead.kind
    findings, channels = shipped.weight.shape
    head = ClassMapHead(channels, findings, 0.0).eval()
    head.load_state_dict(
        {"answer.weight": torch.tensor(shipped.weight)[..., None, None], "answer.bias": torch.tensor(shipped.bias)}
    )
    features = torch.rand((1, channels, 7, 7), generator=torch.Generator().manual_seed(3)) / 20
    drawn = build_head(shipped.kind, {"weight": shipped.weight, "bias": shipped.bias})
    for finding, expected in enumerate(drawn(features[0].permute(1, 2, 0).numpy()).maps):
        np.testing.assert_allclose(49 * hires_cam(head, features, finding)[0].numpy(), expected, atol=1e-5)


def make_small_network() -> Network:
    torch.manual_seed(4)
    body = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1, stride=2),
        nn.ReLU(inplace=True),
        nn.Conv2d(8, CHANNELS, 3, padding=1, stride=2),
        nn.ReLU6(inplace=True),
    )
    return Network(body, ClassMapHead(CHANNELS, 5, 0.2)).eval()


def test_guided_back_propagation_passes_only_what_is_positive_forward_and_back():
    network = make_small_network()
    films = torch.randn((2, 3, 16, 16), generator=torch.Generator().manual_seed(5)) * 20
    first, _, second, _ = network.body
    before = first(films)
    after = second(before.relu())
    assert (after > 6).any()  # so that ReLU6 has a ceiling to respect
    gradient = (network.head.answer.weight[FINDING, :, 0, 0] / 16)[None, :, None, None].expand_as(after)
    gradient = gradient.clamp(min=0) * ((after > 0) & (after < 6))
    gradient = nn.functional.conv_transpose2d(gradient, second.weight, stride=2, padding=1, output_padding=1)
    gradient = gradient.clamp(min=0) * (before > 0)
    gradient = nn.functional.conv_transpose2d(gradient, first.weight, stride=2, padding=1, output_padding=1)
    torch.testing.assert_close(guided_backprop(network, films, FINDING), gradient.sum(dim=1), atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize("name", ["densenet121", "mobilenet_v2", "efficientnet_lite0"])
def test_guided_back_propagation_leaves_the_network_as_it_was(name):
    torch.manual_seed(6)
    network = build_network(
        NetworkSettings(name=name, head="concat-pool", weights="none", drop_path=0, edge=False), 14, SIZE
    ).eval()
    films = torch.randn((2, 3, SIZE, SIZE), generator=torch.Generator().manual_seed(7))
    with torch.no_grad():
        before = network(films)
    modules = {path: type(module) for path, module in network.named_modules()}
    in_place = [module.inplace for module in network.modules() if hasattr(module, "inplace")]
    maps = map_films(network, films, FINDING, methods_of(network))
    assert maps[GUIDED_GRAD_CAM].shape == (2, SIZE, SIZE) and maps[GRAD_CAM].shape == (2, 2, 2)
    with torch.no_grad():
        assert torch.equal(network(films), before)
    assert {path: type(module) for path, module in network.named_modules()} == modules
    assert [module.inplace for module in network.modules() if hasattr(module, "inplace")] == in_place
    assert not any(module._forward_hooks or module._backward_hooks for module in network.modules())
    assert all(weight.grad is None and weight.requires_grad for weight in network.parameters())


def test_a_film_has_the_same_heat_in_any_batch():
    network = make_small_network()
    films = np.stack([cv2.resize(draw_phantom(seed), (SIZE, SIZE)) for seed in range(5)])
    whole, parts = (film_heats(network, films, FINDING, METHODS, batch) for batch in (5, 2))
    for method in METHODS:
        assert whole[method].shape == films.shape and np.abs(whole[method]).max() <= 1
        np.testing.assert_allclose(whole[method], parts[method], atol=1e-5)


def test_the_share_of_heat_in_the_border_is_known_for_even_and_for_central_heat():
    assert border_share(np.ones((100, 100), np.float32)) == pytest.approx(0.36)
    centre = np.zeros((100, 100), np.float32)
    centre[40:60, 40:60] = 1
    assert border_share(centre) == 0 and border_share(-centre) is None


def test_iou_and_iobb_are_those_of_drawn_boxes():
    detected, box = np.array([[0, 0, 0.5, 0.5], [0.3, 0.3, 0.4, 0.4]]), np.array([[0.25, 0.25, 0.75, 0.75]])
    iou, iobb = overlap_with(detected, box)
    assert iou[:, 0] == pytest.approx([1 / 7, 0.04]) and iobb[:, 0] == pytest.approx([0.25, 1])


def test_regions_are_found_at_both_levels():
    heat = np.zeros((100, 100))
    heat[10:30, 40:80] = 100 / 255
    heat[60:70, 60:65] = 1
    assert find_regions(heat) == pytest.approx(
        np.array([[0.4, 0.1, 0.8, 0.3], [0.6, 0.6, 0.65, 0.7], [0.6, 0.6, 0.65, 0.7]])
    )


def test_heat_within_its_box_is_right_by_every_measure_and_elsewhere_by_none():
    box, heat = np.array([[0.1, 0.2, 0.5, 0.6]]), np.zeros((100, 100))
    heat[20:60, 10:50] = 0.3
    assert judge(heat, box).all()
    assert not judge(heat[::-1, ::-1], box).any() and not judge(np.zeros((100, 100)), box).any()
    # A small region in a large box: nothing for IoU, all for IoBB.
    small = np.zeros((100, 100))
    small[30:34, 30:34] = 1
    assert judge(small, box).tolist() == [True, False, False, False, True, True, True]


def test_a_random_map_points_into_a_box_as_often_as_the_box_is_large():
    chance, box = np.random.default_rng(0), np.array([[0.0, 0.5, 0.5, 1.0]])
    hits = [points_inside(random_heat(chance, 8, SIZE), box) for _ in range(2000)]
    assert np.mean(hits) == pytest.approx(0.25, abs=0.04)


def test_the_tables_of_chance_stand_beside_each_other():
    cases = [
        Case("a", "Mass", np.array([[0.3, 0.3, 0.7, 0.7]])),
        Case("b", "Nodule", np.array([[0, 0, 0.1, 0.1]])),
    ]
    assert points_inside(centre_heat(SIZE), cases[0].boxes) and not points_inside(centre_heat(SIZE), cases[1].boxes)
    tables = {reader: localisation_table(cases, own) for reader, own in judge_chance(cases, 8, SIZE).items()}
    assert set(tables["centre"]) == {"overall", "Mass", "Nodule"}
    assert tables["centre"]["overall"]["pointing"] == {"right": 1, "share": 0.5, "interval_95": [0.0945, 0.9055]}
    assert tables["random"]["Mass"]["pointing"]["share"] > tables["random"]["Nodule"]["pointing"]["share"]
    assert tables["random"]["Mass"]["pointing"]["interval_95"] is None
    assert list(tables["random"]["Mass"]["iobb"]) == ["0.1", "0.25", "0.5"] and len(QUESTIONS) == 7


def test_the_real_list_has_984_boxes_of_eight_findings(shared_films):
    cases = read_boxes(shared_films / "meta" / "BBox_List_2017.csv")
    assert sum(len(case.boxes) for case in cases) == 984 and len({case.image for case in cases}) == 880
    assert len({case.finding for case in cases}) == 8
    assert sum(case.finding == "Infiltration" for case in cases) == 123


@pytest.mark.parametrize(
    "row", [("a.png", "Mass", "x", 1, 1, 1), ("a.png", "Cold", 1, 1, 9, 9), ("a.png", "Mass", 1000, 1, 99, 9)]
)
def test_a_list_with_a_box_that_is_none_is_refused(tmp_path, row):
    write_rows(tmp_path / "boxes.csv", LIST_HEADER, [row])
    with pytest.raises(FilmsError, match=r"boxes\.csv.*a\.png.*copy the list again"):
        read_boxes(tmp_path / "boxes.csv")


def name_of(number: int) -> str:
    return f"{number:08}_000.png"


def draw_run(folder: Path, recipe: Recipe, findings: tuple[str, ...], outputs: int) -> Path:
    """Write a run of drawn films; odd ones have every finding, but none has a hernia."""
    (folder / "films").mkdir(parents=True)
    for number in range(len(PARTS)):
        film = cv2.resize(draw_phantom(number), (96, 128))
        assert cv2.imwrite(str(folder / "films" / name_of(number)), film)
    labels = [[int(number % 2 and finding != "Hernia") for finding in FINDINGS] for number in range(len(PARTS))]
    cells = [
        (name_of(n), name_of(n), f"p{n}", "drawn", int(n == 11), part, 40, "F", "PA") for n, part in enumerate(PARTS)
    ]
    write_rows(folder / "films.csv", COLUMNS, [(*own, *truth) for own, truth in zip(cells, labels, strict=True)])
    write_recipe(recipe, folder / "recipe.toml")
    torch.manual_seed(8)
    network = build_network(recipe.network, outputs, SIZE)
    with torch.no_grad():
        network.head.answer.weight[-1].abs_().neg_()
        network.head.answer.weight[0].abs_()
        # An untrained body says so little that beside a bias its heat would be lost to rounding, by the processor.
        network.head.answer.bias.zero_()
    save_network(network, folder / "network.safetensors")
    logits = np.random.default_rng(9).normal(size=(len(PARTS), len(findings))).round(4)
    scored = [n for n, part in enumerate(PARTS) if part in ("validation", "test") and n != 11]
    rows = [(name_of(n), PARTS[n], *logits[n]) for n in scored]
    write_rows(folder / "predictions.csv", ("name", "part", *findings), rows)
    (folder / "run.json").write_text("{}")
    return folder


def small_recipe(**tables) -> Recipe:
    network = {"name": "mobilenet_v2", "weights": "none", "drop_path": 0, "edge": False} | tables.pop("network", {})
    return make_recipe(tables | {"network": network, "second": {"epochs": 1, "size": SIZE}}, "test")


@pytest.fixture(scope="module")
def small_run(tmp_path_factory) -> Path:
    return draw_run(tmp_path_factory.mktemp("explain") / "run", small_recipe(), FINDINGS, 14)


def explain(run: Path, *options) -> dict:
    """Run the command through its parser, and return what it wrote."""
    parser = argparse.ArgumentParser()
    add_explain_command(parser.add_subparsers(required=True))
    arguments = parser.parse_args(["explain", str(run), "--films", str(run / "films"), *map(str, options)])
    arguments.run(arguments)
    return json.loads(((arguments.output or run / "explanation") / "explanation.json").read_text())


def test_the_command_draws_every_finding_and_measures_localisation(small_run, tmp_path):
    boxes = [(name_of(n), "Atelectasis", 256, 256, 512, 512) for n in (0, 4, 5, 11, 12, 99)]
    write_rows(tmp_path / "boxes.csv", LIST_HEADER, [*boxes, (name_of(4), "Infiltrate", 0, 0, 100, 100)])
    result = explain(small_run, "--finding", "Atelectasis", "Hernia", "--limit", 2, "--boxes", tmp_path / "boxes.csv")
    folder = small_run / "explanation"
    assert result["part"] == "validation" and result["methods"] == list(METHODS)
    own = result["findings"]["Atelectasis"]
    assert (own["films"], own["films_with"], len(own["shown"])) == (7, 3, 1)
    assert own["border_films"] == own["films_with_heat"]["class-map"] == 2 and 0 < own["border_share"]["class-map"] < 1
    shown = own["shown"][0]
    known = held_out(read_run(small_run), "validation")
    logits = {film.image: row[0] for film, row in zip(known.films, known.logits, strict=True) if film.labels[0]}
    assert shown["film"] == max(logits, key=logits.get)
    for name in (shown["triplet"], shown["sheet"]):
        assert cv2.imread(str(folder / name)).shape[1] > 1000 and (folder / name).with_suffix(".svg").is_file()
    assert result["findings"]["Hernia"] == {
        "films": 7,
        "films_with": 0,
        "average_precision": None,
        "border_films": 0,
        "films_with_heat": dict.fromkeys(METHODS, 0),
        "border_share": dict.fromkeys(METHODS),
        "shown": [],
    }
    localisation = result["localisation"]
    assert localisation["films"] == {"in_list": 6, "used": 3, "trained_on": 1, "thumbnails": 1, "absent": 1}
    assert set(localisation["tables"]) == {"class-map", "grad-cam", "hirescam", "random", "centre"}
    assert localisation["tables"]["centre"]["Atelectasis"]["pointing"]["right"] == 3
    assert localisation["tables"]["grad-cam"]["overall"]["cases"] == localisation["cases"] == 4


def test_a_film_that_nothing_speaks_for_is_drawn_and_said_so(small_run, tmp_path):
    result = explain(small_run, "--finding", "Hernia", "--film", name_of(5), "-o", tmp_path / "out")
    (shown,) = result["findings"]["Hernia"]["shown"]
    assert shown["has_finding"] is False and shown["border_share"] == dict.fromkeys(METHODS)
    svg = (tmp_path / "out" / shown["sheet"]).with_suffix(".svg").read_text()
    assert "the network finds" in svg


def test_a_method_may_be_chosen_and_a_test_film_where_it_is_asked_for(small_run, tmp_path):
    options = ["--finding", "Mass", "--method", "grad-cam", "--part", "test", "--film", name_of(13)]
    (shown,) = explain(small_run, *options, "-o", tmp_path / "out")["findings"]["Mass"]["shown"]
    assert shown["film"] == name_of(13) and list(shown["border_share"]) == ["grad-cam"]
    assert "Guided" not in (tmp_path / "out" / shown["triplet"]).with_suffix(".svg").read_text()


@pytest.mark.parametrize(
    ("options", "error", "sentence"),
    [
        (["--film", name_of(0)], FilmsError, "was trained on"),
        (["--part", "train"], FilmsError, "learnt by heart"),
        (["--part", "tset"], FilmsError, "name validation or test"),
        (["--film", name_of(12)], FilmsError, "is a test film, not a validation film"),
        (["--film", name_of(16)], FilmsError, "stands in no part"),
        (["--film", name_of(11)], FilmsError, "thumbnail"),
        (["--film", "unknown.png"], FilmsError, "is no film of"),
        (["--limit", "0"], RecipeError, "leaves no film"),
        (["--films", "/nowhere"], FilmsError, "/nowhere lacks"),
        (["-o", "/dev/null/out"], RunError, "cannot be written"),
    ],
)
def test_what_cannot_be_explained_is_refused_in_one_sentence(small_run, options, error, sentence):
    with pytest.raises(error, match=sentence):
        explain(small_run, *options)


def test_films_of_patients_who_were_trained_on_do_not_measure_localisation(small_run):
    run = read_run(small_run)
    more = [
        Film("new.png", "p1", 40, "F", "PA", (0,) * 14, "new.png"),
        Film("other.png", "p77", 40, "F", "PA", (0,) * 14, "other.png"),
        Film(name_of(11), "p11", 40, "F", "PA", (0,) * 14, "sharp.png"),
    ]
    boxed = choose_boxed(run, more, {"new.png", "other.png", name_of(1), name_of(11), name_of(16)})
    assert {image: film.path for image, film in boxed.films.items()} == {
        "other.png": "other.png",
        name_of(11): "sharp.png",
        name_of(16): name_of(16),
    }
    assert boxed.counts == {"in_list": 5, "used": 3, "trained_on": 2, "thumbnails": 0, "absent": 0}


@pytest.mark.parametrize("head", ["class-map", "concat-pool"])
def test_cross_entropy_is_explained_by_the_difference_of_its_two_logits(tmp_path, head):
    tables = {"task": {"kind": "one-vs-all", "finding": "Mass"}, "loss": {"kind": "cross-entropy"}}
    run = draw_run(tmp_path / "run", small_recipe(network={"head": head}, **tables), ("Mass",), 2)
    network = load_explained(read_run(run))
    films = np.stack([cv2.resize(draw_phantom(seed), (SIZE, SIZE)) for seed in range(2)])
    both = predict(load_network(run), films)
    np.testing.assert_allclose(predict(network, films), both[:, 1:] - both[:, :1], atol=1e-5)
    with pytest.raises(RecipeError, match="is not scored by"):
        explain(run, "--finding", "Edema")
    if head == "concat-pool":
        with pytest.raises(RecipeError, match="not to be had of this head"):
            explain(run, "--method", "class-map")
