"""Refusal of what is no frontal chest film: one JSON of what the film check says of films and of all else there is.

    bench_refusal.py [--check FILE] [--write FILE]

Without --check the shipped bundle's check is measured, or, where it has none, one that is fitted here on its training
films (some minutes), which --write keeps. Natural pictures come from the sample data of scikit-learn,
matplotlib and, where it is installed, scikit-image, medical ones from pydicom; none of them is ever fitted on.
"""

import argparse
import importlib.util
import json
import time
import warnings
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import cv2
import numpy as np
import pydicom
import torch
from cxrbox.decoding.film import decode_film
from cxrbox.errors import RefusedError
from cxrbundle.arrays import read_arrays
from cxrbundle.bundle import Bundle, load_bundle
from cxrbundle.film_check import FilmCheck, FilmScore, build_film_check
from cxrbundle.phantom import draw_phantom
from cxrbundle.preprocess import to_input
from cxrbundle.shipped import shipped_bundle
from cxrconvert import bodies
from cxrconvert.film_check.make import Eye, make_film_check, read_greys, to_arrays
from cxrconvert.film_check.measure import auroc, called, measure_film_check, score_all, share
from cxrconvert.films import TEST, Film, films_of
from cxrtrain.data.films import Film as KnownFilm
from cxrtrain.data.folders import read_films
from cxrtrain.data.shipped import split_as_shipped
from cxrtrain.transforms.film import rectify
from cxrtrain.transforms.photograph import shoot
from pydicom.data import get_testdata_files

REPOSITORY = Path(__file__).resolve().parents[2]
SHARED = REPOSITORY.parent / "shared" / "cxr"
CHECK = "film-check.npz"
PICTURES, CHILDREN, PHANTOMS, ROUNDS = 353, 500, 30, 200
DEGREES = (-15, -10, -5, 0, 5, 10, 15)
SAMPLES = {"sklearn": "datasets/images", "matplotlib": "mpl-data/sample_data", "skimage": "data"}


def natural_pictures() -> Iterator[np.ndarray]:
    """Yield photographs, micrographs and drawings that Python packages carry."""
    for package, folder in SAMPLES.items():
        found = importlib.util.find_spec(package)
        for place in found.submodule_search_locations if found else ():
            for path in sorted((Path(place) / folder).glob("*.*g")):
                grey = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
                if grey is not None and min(grey.shape) >= 32:
                    yield grey


def medical_pictures() -> Iterator[np.ndarray]:
    """Yield CT, MR, ultrasound, scintigrams and the radiograph of a leg that pydicom carries, each once."""
    seen = set()
    for path in sorted(get_testdata_files("*.dcm")):
        try:
            dataset = pydicom.dcmread(path, force=True)
            pixels = np.squeeze(dataset.pixel_array).astype(np.float32)
        except Exception:  # half of these files are damaged on purpose
            continue
        grey = _grey(pixels, dataset)
        if grey is None or dataset.get("BodyPartExamined") == "CHEST":
            continue
        likeness = (cv2.resize(grey, (8, 8), interpolation=cv2.INTER_AREA) // 32).tobytes()
        if likeness not in seen:
            seen.add(likeness)
            yield grey


def _grey(pixels: np.ndarray, dataset: pydicom.Dataset) -> np.ndarray | None:
    """Return the first frame as grey levels, bone bright; None where there is no picture."""
    while pixels.ndim > 2:
        pixels = pixels.mean(axis=-1) if pixels.shape[-1] == 3 else pixels[0]
    if pixels.ndim != 2 or min(pixels.shape) < 48:
        return None
    low, high = np.percentile(pixels, [0.5, 99.5])
    if high <= low:
        return None
    grey = np.clip((pixels - low) / (high - low) * 255, 0, 255).astype(np.uint8)
    return 255 - grey if dataset.get("PhotometricInterpretation") == "MONOCHROME1" else grey


def photograph(greys: list[np.ndarray]) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Return each film as photographed on a light box, made flat and as the camera saw it."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    flat, whole = [], []
    for start in range(0, len(greys), 16):
        films = np.stack([cv2.resize(grey, (320, 320)) for grey in greys[start : start + 16]])
        shot = shoot(torch.from_numpy(films).unsqueeze(1).float() / 255, 400)
        flat += list((rectify(shot, 320)[:, 0] * 255).byte().numpy())
        colours = (shot.photos * 255).byte().permute(0, 2, 3, 1).numpy()
        whole += [cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY) for photo in colours]
    return flat, whole


def tilt(grey: np.ndarray, degrees: float) -> np.ndarray:
    """Return a film turned about its middle."""
    height, width = grey.shape
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1)
    return cv2.warpAffine(grey, matrix, (width, height))


def decoded_films(folder: Path) -> Iterator[np.ndarray]:
    """Yield the DICOM films that the box does not refuse by their tags."""
    for path in sorted(folder.glob("*.dcm")):
        try:
            yield decode_film(path).grey
        except RefusedError:
            continue


def measure_others(check: FilmCheck, eye: Eye, good: list[FilmScore]) -> dict:
    """Return what the check says of pictures that nobody drew for it."""
    kinds = {"natural pictures": natural_pictures(), "other medical pictures": medical_pictures()}
    scores = {name: score_all(check, eye, pictures) for name, pictures in kinds.items()}
    return {name: {"count": len(own), "auroc": auroc(good, own), "refused": share(own)} for name, own in scores.items()}


def measure_chests(check: FilmCheck, eye: Eye, greys: list[np.ndarray], good: list[FilmScore]) -> dict:
    """Return the share refused of chest films that come otherwise than those fitted on, and how far they are told."""
    flat, whole = photograph(greys)
    children = sorted((SHARED / "images" / "kermany").rglob("*.jpeg"))
    children += sorted((SHARED / "images" / "kermany").rglob("*.jpg"))
    step = max(1, len(children) // CHILDREN)
    chests = {
        "photographed and made flat": flat,
        "photographed, not made flat": whole,
        "real photographs on a light box": (cv2.imread(str(p), 0) for p in sorted((SHARED / "photos").glob("*.jpg"))),
        "DICOM of other sites": decoded_films(SHARED / "dicom"),
        "children (Kermany)": (cv2.imread(str(path), cv2.IMREAD_GRAYSCALE) for path in children[::step]),
        "drawn phantoms": (draw_phantom(seed) for seed in range(PHANTOMS)),
        **{f"tilted by {degrees} degrees": [tilt(grey, degrees) for grey in greys] for degrees in DEGREES},
    }
    return {name: _chest(score_all(check, eye, pictures), good) for name, pictures in chests.items()}


def _chest(scores: list[FilmScore], good: list[FilmScore]) -> dict:
    margins = [score.margin for score in scores]
    return {
        "count": len(scores),
        "refused": share(scores),
        "auroc": auroc(good, scores),
        "called_mirrored": called(scores, "mirrored"),
        "least_and_median_margin": [round(float(value), 3) for value in (min(margins), median(margins))],
    }


def divide_films(films: list[KnownFilm]) -> list[Film]:
    """Return the sharp films with the part that each had when the shipped network was trained."""
    return [
        Film(film.path, film.image, film.patient, part, film.labels)
        for film, part in zip(films, split_as_shipped(films), strict=True)
        if not film.thumbnail
    ]


def measure_sources(source: dict[str, str], films: list[Film], good: list[FilmScore]) -> dict:
    """Return the share of good test films that is refused, by the collection they come from; SOURCE is by path."""
    by_source = defaultdict(list)
    for film, score in zip(films, good, strict=True):
        by_source[source[film.path]].append(score)
    return {name: {"films": len(own), "refused": share(own)} for name, own in sorted(by_source.items())}


def measure_time(check: FilmCheck, eye: Eye, grey: np.ndarray) -> dict:
    """Return what the check costs beside the bare call of the body, in turn on one film."""
    film = to_input(grey, eye.size)
    rows = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        features = eye.body(film)
        seen = time.perf_counter()
        check.score(features)
        done = time.perf_counter()
        eye.body.interpreter.invoke()
        rows.append((done - seen, time.perf_counter() - done, seen - started))
    ratio = median(checked / invoked for checked, invoked, _ in rows)
    return {"check / invoke": round(ratio, 4), "check_ms": round(1000 * median(row[0] for row in rows), 3)}


def compare_kernels(check: FilmCheck, eye: Eye, bundle: Bundle, greys: list[np.ndarray], good: list[FilmScore]) -> dict:
    """Return how the check differs on the plain kernels of TFLite: other verdicts, and the largest step of a margin."""
    scaling = bundle.manifest.input.scale, bundle.manifest.input.zero_point
    plain = Eye(bodies.TfliteBody(bundle.body, *scaling, plain_kernels=True), eye.size)
    pairs = list(zip(score_all(check, plain, greys[::4]), good[::4], strict=True))
    return {
        "films": len(pairs),
        "other_verdicts": sum(one.refused != other.refused for one, other in pairs),
        "largest_step": round(max(abs(one.margin - other.margin) for one, other in pairs), 3),
    }


def get_check(arguments: argparse.Namespace, eye: Eye, films: list[Film], channels: int) -> FilmCheck:
    """Return the check that is to be measured, fitted now if there is none."""
    path = arguments.check or shipped_bundle() / CHECK
    if not path.is_file():
        check = make_film_check(eye.body, films, SHARED, eye.size)
        path = arguments.write or Path(CHECK)
        np.savez(path, **to_arrays(check))
    return build_film_check(read_arrays(path.read_bytes(), str(path)), channels)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--check", type=Path, help=f"a {CHECK}; default: the shipped bundle's")
    parser.add_argument("--write", type=Path, help="where a check that is fitted here is kept")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    bodies.THREADS = 1
    warnings.simplefilter("ignore")  # pydicom speaks of each damaged test file

    bundle = load_bundle(shipped_bundle())
    entry = bundle.manifest.input
    eye = Eye(bodies.TfliteBody(bundle.body, entry.scale, entry.zero_point), entry.height)
    known = read_films(SHARED)
    films = divide_films(known)
    check = get_check(arguments, eye, films, bundle.manifest.features.channels)
    greys = read_greys(SHARED, films_of(films, TEST))
    good = score_all(check, eye, greys)
    result = {
        "bundle": bundle.title,
        "gates": np.round(check.gates, 3).tolist(),
        **measure_film_check(check, eye, films, SHARED, PICTURES),
        "refused_by_source": measure_sources({film.path: film.source for film in known}, films_of(films, TEST), good),
        "gathered_pictures": measure_others(check, eye, good),
        "chests": measure_chests(check, eye, greys, good),
        "plain_kernels": compare_kernels(check, eye, bundle, greys, good),
        "time": measure_time(check, eye, greys[0]),
    }
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
