"""Recipes: every shipped one loads, and what is no setting is refused."""

import tomllib

import pytest
from cxrtrain.errors import RecipeError
from cxrtrain.recipe import Recipe, all_settings, make_recipe, read_recipe, write_recipe

SHIPPED = {"edge-default", "edge-film", "paper-int8", "paper-multilabel", "paper-one-vs-all"}


@pytest.fixture
def configs(repository):
    return repository / "train" / "configs"


def test_every_shipped_recipe_loads_and_comes_back_whole(configs, tmp_path):
    assert {path.stem for path in configs.glob("*.toml")} == SHIPPED
    for path in configs.glob("*.toml"):
        recipe = read_recipe(path)
        write_recipe(recipe, tmp_path / "recipe.toml")
        assert read_recipe(tmp_path / "recipe.toml") == recipe


def test_the_default_recipe_names_every_setting_and_is_the_default(configs):
    path = configs / "edge-default.toml"
    tables = tomllib.loads(path.read_text())
    assert {f"{section}.{key}" for section, table in tables.items() for key in table} == set(all_settings())
    assert read_recipe(path) == Recipe()


def test_every_setting_says_what_it_is():
    assert all(field.description for field in all_settings().values())


def test_a_value_on_the_command_line_replaces_that_of_the_file(configs):
    recipe = read_recipe(configs / "paper-multilabel.toml", {"first.epochs": "2", "network.edge": "false"})
    assert recipe.first.epochs == 2 and recipe.network.edge is False
    assert recipe.network.name == "densenet121"


@pytest.mark.parametrize(
    ("tables", "said"),
    [
        ({"optimiser": {"learning_rate": 1}}, "optimiser.learning_rate is no setting"),
        ({"optimizer": {"rate": 1}}, "optimizer is no setting"),
        ({"optimiser": {"rate": -1}}, "optimiser.rate .*greater than 0"),
        ({"network": {"name": "resnet"}}, "network.name .*densenet121"),
        ({"data": {"fold": 8}}, "data.fold 8 must be below data.folds 8"),
        ({"loss": {"kind": "cross-entropy"}}, "task.kind must be one-vs-all"),
        ({"network": {"weights": "file"}}, "network.weights_file"),
        ({"first": {"epochs": 0}, "second": {"epochs": 0}}, "nothing to train"),
    ],
)
def test_a_wrong_setting_is_named(tables, said):
    with pytest.raises(RecipeError, match=said):
        make_recipe(tables, "x.toml")


def test_what_is_no_toml_is_refused(tmp_path):
    path = tmp_path / "x.toml"
    with pytest.raises(RecipeError, match="cannot be read"):
        read_recipe(path)
    path.write_text("[data")
    with pytest.raises(RecipeError, match="is not TOML"):
        read_recipe(path)
