"""`cxrtrain fit`, `lr-find` and `wd-scan`: a recipe, prepared films, and any setting replaced."""

import argparse
from pathlib import Path

from cxrtrain.recipe import Recipe, all_settings, make_recipe, read_recipe

DECAYS = (0.0, 0.1, 1e-3, 1e-5)


def add_fit_command(commands) -> None:
    """Add `fit` to the commands of `cxrtrain`."""
    parser = commands.add_parser("fit", help="train a network and hand it over")
    _add_recipe(parser)
    parser.add_argument("--resume", action="store_true", help="go on with the run in -o that was cut off")
    parser.set_defaults(run=_fit)


def add_search_commands(commands) -> None:
    """Add `lr-find` and `wd-scan` to the commands of `cxrtrain`."""
    for name, text in (
        ("lr-find", "find a learning rate (paper, eq. 1.4 and 1.5)"),
        ("wd-scan", "compare weight decays (paper, Fig. 6)"),
    ):
        parser = commands.add_parser(name, help=text)
        _add_recipe(parser)
        parser.add_argument("--lowest", type=float, default=1e-7, help="first learning rate; default %(default)s")
        parser.add_argument("--highest", type=float, default=10.0, help="last learning rate; default %(default)s")
        parser.add_argument("--steps", type=int, default=100, help="steps between them; default %(default)s")
        parser.set_defaults(run=_lr_find)
    parser.add_argument("--decays", type=float, nargs="+", default=DECAYS, help="weight decays; default %(default)s")
    parser.set_defaults(run=_wd_scan)


def _add_recipe(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("recipe", type=Path, nargs="?", help="TOML file as in train/configs; default: edge-default")
    parser.add_argument("--films", type=Path, required=True, help="folder that `cxrtrain prepare` wrote")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder of the run")
    parser.add_argument("--limit", type=int, help="use only so many films (a smoke test)")
    group = parser.add_argument_group("settings of the recipe, each replacing its value")
    for name, field in all_settings().items():
        group.add_argument(f"--{name}", metavar="VALUE", help=field.description.replace("%", "%%"))


def recipe_of(arguments: argparse.Namespace) -> Recipe:
    """Return the recipe that the arguments name, with the settings that they replace."""
    given = vars(arguments)
    replaced = {name: given[name] for name in all_settings() if given[name] is not None}
    if arguments.recipe:
        return read_recipe(arguments.recipe, replaced)
    return make_recipe({}, "the command line", replaced)


def _fit(arguments: argparse.Namespace) -> None:
    from cxrtrain.learn.fit import run_fit  # torch takes seconds to import, and other commands do without it

    run_fit(recipe_of(arguments), arguments.films, arguments.output, arguments.resume, arguments.limit)


def _lr_find(arguments: argparse.Namespace) -> None:
    from cxrtrain.learn.lr_find import RangeTest, run_lr_find

    test = RangeTest(arguments.lowest, arguments.highest, arguments.steps)
    result = run_lr_find(recipe_of(arguments), arguments.films, arguments.output, test, arguments.limit)
    print(f"suggested learning rate: {result['suggested_rate']}")


def _wd_scan(arguments: argparse.Namespace) -> None:
    from cxrtrain.learn.lr_find import RangeTest, run_wd_scan

    test = RangeTest(arguments.lowest, arguments.highest, arguments.steps)
    recipe, films, output = recipe_of(arguments), arguments.films, arguments.output
    result = run_wd_scan(recipe, films, output, list(arguments.decays), test, arguments.limit)
    print("suggested: weight decay {weight_decay}, learning rate {rate}".format(**result["suggested"]))
