"""The report of a run: one HTML file that needs no other, and its figures beside it."""

from pathlib import Path

from cxrbundle.labels import readable
from jinja2 import Environment, PackageLoader, StrictUndefined

from cxrtrain.errors import RunError
from cxrtrain.report.blocks import Section, Text
from cxrtrain.report.comparison_section import comparison_section
from cxrtrain.report.data_section import data_section
from cxrtrain.report.evaluation_section import evaluation_sections
from cxrtrain.report.explanation_section import explanation_section
from cxrtrain.report.results_section import results_section
from cxrtrain.report.run_folder import FinishedRun, read_run
from cxrtrain.report.settings_section import settings_section
from cxrtrain.report.training_section import training_section

FIGURES = "report"


def write_report(run: Path, against: Path | None, films: Path | None, output: Path) -> None:
    """Write the report of a finished run.

    Parameters
    ----------
    run : Path
        Folder of the run; its figures are written to its report/.
    against : Path or None
        Folder of a run with another loss, to stand beside it (the paper's Fig. 23).
    films : Path or None
        Prepared folder, to draw the changes of films in training (the paper's Fig. 1).
    output : Path
        HTML file.

    Raises
    ------
    RunError
        If a folder holds no finished run, or a figure cannot be read or the report not be written.
    """
    own = read_run(run)
    other = read_run(against) if against else None
    folder = run / FIGURES
    try:
        folder.mkdir(exist_ok=True)
        page = render(own, other, films, folder)
        output.write_text(page, "utf-8")
    except OSError as err:
        raise RunError(
            f"{err.filename or output} cannot be read or written ({err.strerror}); run the command that makes it, "
            "or name another file with -o"
        ) from err


def render(run: FinishedRun, against: FinishedRun | None, films: Path | None, folder: Path) -> str:
    """Return the report as HTML; its figures are written to FOLDER."""
    evaluation = run.read("evaluation/evaluation.json")
    sections = [
        about_section(run),
        data_section(run, films, folder),
        training_section(run, folder),
        results_section(run, evaluation),
        *evaluation_sections(run, evaluation),
        explanation_section(run),
        comparison_section(run, against, folder),
        settings_section(run),
    ]
    environment = Environment(
        loader=PackageLoader("cxrtrain.report", "."), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    style = environment.loader.get_source(environment, "report.css")[0]
    recipe = run.recipe
    subtitle = f"{recipe.network.name}, {recipe.network.head} head, {_task(run)}; code {run.facts['code']}."
    template = environment.get_template("report.html.j2")
    return template.render(
        title=f"Report of the run {run.folder.name}", subtitle=subtitle, sections=sections, style=style
    )


def _task(run: FinishedRun) -> str:
    task = run.recipe.task
    return "all 14 findings" if task.kind == "multi-label" else f"{readable(task.finding)} against all others"


def about_section(run: FinishedRun) -> Section:
    """Return what the report is, and is not."""
    return Section(
        "about",
        "What this is",
        [
            Text(
                "This is a report on research software. It is no medical device, it has no clearance in any country, "
                "and what it says of a film is not a diagnosis: no decision on a patient may rest on it."
            ),
            Text(
                f"A network was trained to read {_task(run)} from a frontal chest film, after Elkins, Freitas and Sanz "
                "(J Med Artif Intell 2020;3:8), whom 'the paper' means below. The report follows the paper: its "
                "figures and tables stand here for this run, under their numbers where they are the same. How well the "
                "network reads is measured only on films that it was not trained on."
            ),
            Text(
                "AUC is the chance that the network scores a film with the finding above one without it (0.5: no "
                "better than a coin, 1: always). Average precision is the mean share of right alarms over all "
                "sensitivities; its worth without skill is the share of films with the finding. The pictures of films "
                "below are of the public data set; treat a report on other films as patient data."
            ),
        ],
    )
