"""card.md: what the model is, what it is not, and how well it does, for whoever thinks of using it."""

from collections.abc import Callable

from cxrbundle.labels import FINDINGS, readable
from cxrbundle.manifest import Manifest

DASH = "\N{EN DASH}"

INTRODUCTION = """\
# Model card: {title}

**A demonstration model. It is not a medical device, it has no clearance, and what it says is NOT A DIAGNOSIS.**

It was trained on a small public sample of ChestX-ray14 ({films} films, {patients} patients) to show that the
whole path works, from training to a film read on a Raspberry Pi with a Coral Edge TPU. Published models saw about a
hundred thousand films. On its test films it ranks with a mean AUC of {auc}{against}.
Nobody has tested it in a clinic, or on films of any hospital but the NIH's.

| | |
|---|---|
| network | {network}, int8 body ({size} x {size} pixels) and float {head_kind} head |
| findings | {count}, each with its own likelihood; a film may have several or none |
| trained by | {trained_by}, {minutes} min on a CPU{start} |
| converted by | {converted_by} |
| licence of the weights | Apache-2.0 |

## What it is for, and what not

For demonstrating, testing and teaching: the box, its refusals, its maps, its audit. For comparing with a model of
your own that went through the same path.

Not for reading films of patients, with or without a physician; not for triage; not for children, lateral or bedside
films with heavy hardware, or photographs taken under other conditions than the box asks for. A low likelihood does not
exclude a finding, and findings outside its list are not seen at all.
"""

DATA = """
## Data

Chest X-ray images provided by the NIH Clinical Center (nihcc.app.box.com/v/ChestXray-NIHCC); X. Wang, Y. Peng, L. Lu,
Z. Lu, M. Bagheri, R. M. Summers: ChestX-ray8: Hospital-scale Chest X-ray Database and Benchmarks on
Weakly-Supervised Classification and Localization of Common Thorax Diseases. IEEE CVPR 2017, pp. 3462-3471.

Frontal films, nearly all of adults. No patient stands in more than one part. Some training films are thumbnails of
64 pixels, used in a first phase only; validation and test below count sharp films only.

{parts}

{counts}

**The labels are noisy.** They were mined from the text of reports, not read from the films. Radiologists who read
the films again confirm fewer than half of some labels: of the films labelled pneumothorax, 46 %. So the figures below
measure agreement with those labels, which is not agreement with the truth.

**The sources are confounded.** The sample was gathered from several public collections, and most films without a
finding come from one of them, so a network can learn the collection instead of the disease. Against that, every film
is first brought to one size and one range of grey levels, and training redraws half of the films on a coarser grid
{remedy}. Within one source, where the collection can tell nothing, the mean AUC on the test films is:

{within}
"""

FIGURES = """
## How well it ranks films

On {films} test films of {patients} patients, with 95 % intervals from {resamples} bootstrap resamples of patients.
The reference is a public DenseNet-121, trained on the 78,468 films of CheXNet's training split and read on the same
films; none of the test patients was in its training. A dash stands where the test films have no positive. Where there
are few positives the interval says how little is known; with one or two even the interval is too narrow.

{ranking}

## At its thresholds

Thresholds are calibrated likelihoods. A film is called `above` from where nine in ten validation films without the
finding lie below; `uncertain` reaches down to where nine in ten validation films with it lie above. With fewer than
five validation positives that would be chance; `uncertain` then starts at the 60th percentile of the films without the
finding (here: {fallback}). Sensitivity and specificity of `above` are on the test films.

{thresholds}

With fourteen findings, most films have one that is above or uncertain. Of the test films:

{verdicts}

## Calibration

Likelihoods are calibrated on the validation films (Platt scaling) and hold where findings are as frequent as there: see
the table under Data, from {rarest} to {commonest}. That is not how frequent they are in a clinic.
**In another population a likelihood of 30 % does not mean 30 of 100 patients.** The mean calibration error on the test
films is {calibration_error} (ten bins of equally many films), the largest {worst_error}.

## What it refuses

A film check on the body's own features refuses what is no frontal chest film, upright and bone bright. It refuses
{refused} of {check_films} good test films, and {refused_coming} of those films with the faults of scanning. Told from
{sorts} sorts of other pictures, made from the test films or drawn (turned, tilted, negative, parts of a film, covered,
noise, text, drawn bones and others), the area under its ROC curve is {auroc}; {auroc_unseen} for the sorts it was not
fitted on. Lateral films and other parts of the body were not there in number, and photographs of films are left to the
film finder.

| sorts refused least | shown | refused | AUROC | fitted on |
|---|---|---|---|---|
{sorts_refused_least}

## What conversion changed

On {parity_films} validation and test films the logits of the int8 body correlate with the float network's by {mean} on
average over the findings; the class maps by {maps} in the median. On the test films the mean AUC changes by {change}.
Between TFLite's kernels the logits of the golden films differ by up to {golden}, where logits spread by {spread}
(standard deviation over films).

| logits compared | largest difference | mean difference |
|---|---|---|
{differences}

{gates_verdict}

{gates}

On an Edge TPU: {edgetpu}.

The int8 body's ranges rest on {calibration} training films of as many patients; the bounds of a channel hold {share} of
these. What int8 then changes was compared on {held_out} further training films:

{ranges}

The conversion took {seconds} s and at most {peak} MB of memory, stage by stage:

{stages}

## To make it again

    make train convert
"""

PAIRS = {
    "torch_onnx": "PyTorch and ONNX Runtime",
    "onnx_float": "ONNX Runtime and TFLite in float",
    "onnx_int8": "ONNX Runtime and TFLite in int8",
}
CORRELATIONS = ("logit_correlation_mean", "logit_correlation_minimum", "map_correlation_median")
VERDICTS = ("above", "uncertain", "nothing")
GROUPS = {"with_finding": "with one of the 14 findings", "without_finding": "with none of them"}


def write_card(manifest: Manifest) -> str:
    """Return the text of card.md."""
    return "".join(part(manifest) for part in (_introduction, _data, _figures))


def number(value: float | None, digits: int = 3) -> str:
    """Return a figure for people, a dash where there is none."""
    return DASH if value is None else f"{value:z.{digits}f}"


def with_interval(figures: dict | None, key: str) -> str:
    """Return a metric with its 95 % interval: "0.712 (0.650 to 0.770)"."""
    if not figures or figures.get(key) is None:
        return DASH
    bounds = figures.get(f"{key}_95")
    return number(figures[key]) + (f" ({number(bounds[0])} to {number(bounds[1])})" if bounds else "")


def table(head: list[str], rows: list[list[str]]) -> str:
    """Return a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _introduction(manifest: Manifest) -> str:
    parts = manifest.training["data"].values()
    reference, recipe = manifest.training["metrics"].get("reference"), manifest.training["recipe"]
    return INTRODUCTION.format(
        title=f"{manifest.name} {manifest.version}",
        films=f"{sum(part['films'] for part in parts):,}",
        patients=f"{sum(part['patients'] for part in parts):,}",
        network=manifest.network,
        size=manifest.input.width,
        head_kind=manifest.head_kind,
        count=len(manifest.labels),
        trained_by=manifest.training["code"],
        minutes=manifest.training.get("minutes", DASH),
        start=", from the weights of another run" if recipe.get("network", {}).get("weights") == "file" else "",
        converted_by=manifest.conversion["code"],
        auc=number(manifest.conversion["metrics"]["int8"]["mean"]["auc"]),
        against=f"; a public DenseNet-121 reaches {number(reference['mean']['auc'])} on them" if reference else "",
    )


def _data(manifest: Manifest) -> str:
    data, metrics = manifest.training["data"], manifest.training["metrics"]
    measured = [manifest.conversion[key] for key in ("operating_point", "metrics")]
    sharp = {"validation": measured[0]["films"], "test": measured[1]["films"]}
    parts = [
        [name, str(part["patients"]), str(part["films"]), str(sharp.get(name, part["films"] - part["thumbnails"]))]
        for name, part in data.items()
    ]
    counts = [
        [readable(finding), str(data["train"]["positives"][finding])]
        + [f"{(own := part['positives'][finding])} ({_percent(own, part['films'])})" for part in measured]
        for finding in FINDINGS
    ]
    within = [
        [source, str(own["films"]), str(own["float"]["findings"])]
        + [with_interval(own.get(reader), "auc") for reader in ("float", "reference")]
        for source, own in metrics["within_source"].items()
    ]
    weighted = manifest.training["recipe"].get("loss", {}).get("source_free")
    return DATA.format(
        parts=table(["part", "patients", "films", "of them sharp"], parts),
        counts=table(["films with", "train", "validation", "test"], counts),
        remedy="and weighs them so that no source goes with a finding" if weighted else "at random",
        within=table(["source", "test films", "findings among them", "this network (float)", "reference"], within),
    )


def _figures(manifest: Manifest) -> str:
    conversion = manifest.conversion
    metrics, point, parity = (conversion[key] for key in ("metrics", "operating_point", "parity"))
    basis = point["thresholds_basis"]
    fallback = [readable(finding) for finding in FINDINGS if basis[finding].startswith("fallback")]
    low, high = parity["mean_auc_change_95"] or (None, None)
    return FIGURES.format(
        films=metrics["films"],
        patients=metrics["patients"],
        resamples="1,000",
        ranking=_ranking(manifest),
        fallback=", ".join(fallback) or "none",
        thresholds=_thresholds(manifest),
        verdicts=_verdicts(point["test"]["films"]),
        rarest=_share(point, min),
        commonest=_share(point, max),
        calibration_error=number(point["test"]["calibration_error_mean"]),
        worst_error=_worst_error(point),
        parity_films=parity["films"],
        mean=number(parity["logit_correlation_mean"]),
        maps=number(parity["map_correlation_median"]),
        change=f"{number(parity['mean_auc_change'], 4)} ({number(low, 4)} to {number(high, 4)})",
        **_film_check(conversion["film_check"]),
        differences=_differences(parity["differences"]),
        gates_verdict=_gates_verdict(conversion["gates"]),
        gates=_gates(conversion["gates"]),
        edgetpu=_edgetpu(conversion["edgetpu"]),
        calibration=conversion["calibration_films"],
        share=_share_of(conversion["ranges"]["chosen"]["share"]),
        held_out=conversion["held_out_films"],
        ranges=_ranges(conversion["ranges"]["candidates"]),
        seconds=number(conversion["seconds"], 0),
        peak=max(stage["peak_mb"] for stage in conversion["stages"].values()),
        stages=_stages(conversion["stages"]),
        golden=number(conversion["golden_kernel_difference"]),
        spread=number(parity["logit_standard_deviation"]),
    )


def _film_check(facts: dict) -> dict[str, str]:
    """Return what the card says of the film check."""
    least = sorted(facts["pictures"].items(), key=lambda item: item[1]["refused"] or 0)[:5]
    rows = [
        [name, str(of["count"]), _share_of(of["refused"]), number(of["auroc"], 4), "yes" if of["seen"] else "no"]
        for name, of in least
    ]
    return {
        "check_films": str(facts["films"]),
        "refused": _share_of(facts["refused"]),
        "refused_coming": _share_of(facts["refused_as_it_comes"]),
        "sorts": str(len(facts["pictures"])),
        "auroc": number(facts["auroc"], 4),
        "auroc_unseen": number(facts["auroc_unseen"], 4),
        "sorts_refused_least": "\n".join(f"| {' | '.join(row)} |" for row in rows),
    }


def _share_of(share: float | None) -> str:
    return DASH if share is None else f"{share:.1%}".replace("%", " %")


def _differences(pairs: dict[str, dict]) -> str:
    rows = ((PAIRS[name], f"{of['max']:.1e}", f"{of['mean']:.1e}") for name, of in pairs.items())
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _gates_verdict(gates: list[dict]) -> str:
    failed = sum(not gate["passed"] for gate in gates)
    if not failed:
        return "It passed every gate:"
    return f"**IT FAILED {failed} OF {len(gates)} GATES, and was made all the same because its maker asked for that:**"


def _gates(gates: list[dict]) -> str:
    rows = [
        [
            gate["name"],
            DASH if gate["value"] is None else f"{gate['value']:.4g}",
            f"at {'least' if gate['least'] else 'most'} {gate['bound']:g}",
            "passed" if gate["passed"] else "**failed**",
        ]
        for gate in gates
    ]
    return table(["gate", "measured", "allowed", ""], rows)


def _ranges(candidates: list[dict]) -> str:
    rows = [
        [
            str(of["films"]),
            _share_of(of["share"]),
            *(number(of[name], 4) for name in ("logit_rms_difference", *CORRELATIONS)),
        ]
        for of in candidates
    ]
    if not rows:
        return "There were too few films to compare anything."
    header = ["films", "held", "logit difference", "logit correlation, mean", "lowest", "class maps, median"]
    return table(header, rows)


def _edgetpu(facts: dict | str) -> str:
    """Return what is known of the body on an Edge TPU."""
    if isinstance(facts, str):
        return f"{facts}; the box reads with the int8 body on its processor"
    return (
        f"compiled by edgetpu_compiler {facts['compiler']}, {facts['operations_on_tpu']} of {facts['operations']} "
        f"operations in {facts['subgraphs']} subgraph"
    )


def _stages(stages: dict[str, dict]) -> str:
    rows = [[name, number(of["seconds"], 1), str(of["peak_mb"])] for name, of in stages.items()]
    return table(["stage", "seconds", "peak MB of the process until then"], rows)


def _ranking(manifest: Manifest) -> str:
    metrics = manifest.conversion["metrics"]
    reference = manifest.training["metrics"].get("reference", {})
    rows = [
        [
            "**mean**" if finding == "mean" else readable(finding),
            str(metrics["positives"].get(finding, "")),
            with_interval(metrics["float"][finding], "auc"),
            with_interval(metrics["int8"][finding], "auc"),
            with_interval(reference.get(finding), "auc"),
            with_interval(metrics["int8"][finding], "ap"),
        ]
        for finding in (*FINDINGS, "mean")
    ]
    return table(["finding", "positives", "AUC float", "AUC int8", "AUC reference", "AP int8"], rows)


def _thresholds(manifest: Manifest) -> str:
    point = manifest.conversion["operating_point"]
    rows = []
    for finding in FINDINGS:
        at, figures = manifest.thresholds[finding], point["test"]["findings"][finding]
        shown = [at.above, at.uncertain, figures["sensitivity"], figures["specificity"], figures["uncertain"]]
        rows.append([readable(finding), *map(number, shown), point["thresholds_basis"][finding]])
    head = ["finding", "above", "uncertain from", "sensitivity", "specificity", "share uncertain", "rests on"]
    return table(head, rows)


def _verdicts(films: dict) -> str:
    rows = [[name, *(number(films[key][of], 2) for of in VERDICTS)] for key, name in GROUPS.items()]
    return table(["films", "something above", "else something uncertain", "nothing flagged"], rows)


def _share(point: dict, extreme: Callable) -> str:
    """Return the rarest or commonest finding of the validation films: "2 % (hernia)"."""
    finding = extreme(point["positives"], key=point["positives"].get)
    return f"{_percent(point['positives'][finding], point['films'])} ({readable(finding).lower()})"


def _percent(count: int, films: int) -> str:
    return f"{100 * count / films:.1f} %"


def _worst_error(point: dict) -> str:
    """Return the largest calibration error with its finding: "0.130 (pneumonia)"."""
    errors = {finding: row["calibration_error"] for finding, row in point["test"]["findings"].items()}
    worst = max(errors, key=errors.get)
    return f"{number(errors[worst])} ({readable(worst).lower()})"
