"""What made a run: its recipe, its code, and the command lines that make it again."""

from cxrtrain.recipe import all_settings
from cxrtrain.report.blocks import Commands, Section, Table, Text
from cxrtrain.report.run_folder import FinishedRun


def settings_section(run: FinishedRun) -> Section:
    """Return the section with the resolved recipe and the command lines."""
    facts = run.facts
    words = (
        f"Code: {facts['code']}. Training took {facts['minutes']:,} minutes. Input: {facts['input']['size']} x "
        f"{facts['input']['size']} pixels, preprocessing {facts['preprocessing']}. Below is every setting of the "
        "recipe, as the run resolved it, and then what makes the run again."
    )
    return Section("settings", "Settings of the run", [Text(words), _recipe_table(run), Commands(commands(run))])


def _recipe_table(run: FinishedRun) -> Table:
    recipe = run.recipe.model_dump()
    rows = []
    for name, field in all_settings().items():
        section, key = name.split(".")
        rows.append((name, str(recipe[section][key]), field.description or ""))
    return Table("Resolved recipe.", ("Setting", "Value", "What it is"), rows, words=True)


def commands(run: FinishedRun) -> list[str]:
    """Return the command lines from the films to this report."""
    films = run.facts.get("films", "FILMS")
    return [
        f"cxrtrain prepare {films} -o PREPARED",
        f"cxrtrain fit {run.folder}/recipe.toml --films PREPARED -o NEW",
        "cxrtrain lr-find NEW/recipe.toml --films PREPARED -o NEW",
        "cxrtrain wd-scan NEW/recipe.toml --films PREPARED -o NEW",
        f"cxrtrain evaluate NEW --films {films}",
        f"cxrtrain explain NEW --films {films} --boxes BBox_List_2017.csv",
        "cxrtrain report NEW --films PREPARED",
    ]
