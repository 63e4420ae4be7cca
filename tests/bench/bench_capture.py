"""How well films are found in photographs, turned upright and refused, as JSON.

`bench_capture.py [--part validation|test] [--count N] [--draws N]` photographs the films of patients whom none of the
networks saw, with the training room's `shoot` and with the harder tests/device/photographed.py: those two cameras are
also what the networks learned from, so only the two real photographs are of another one.
"""

import argparse
import json
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import cv2
import numpy as np
import torch
from cxrbox.capture.coach import coach
from cxrbox.capture.corners import find_film
from cxrbox.capture.gate import check_capture
from cxrbox.capture.photograph import Captured, is_photograph, read_photograph
from cxrbox.decoding.film import decode_film
from cxrbox.errors import RefusedError
from cxrbox.operating_points import CAMERA
from cxrbox.reading import Reader, make_reader
from cxrbox.settings import Settings
from cxrtrain.data.films import label_array, load_grey
from cxrtrain.data.folders import read_films
from cxrtrain.data.shipped import split_as_shipped
from cxrtrain.transforms.photograph import shoot
from sklearn.metrics import roc_auc_score

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY / "tests" / "device"))

from photographed import FAULTS, Photograph, photograph  # noqa: E402

FILMS = REPOSITORY.parent / "shared" / "cxr"
SIZES = (960, 1280), (1280, 960)
NEGATIVE_SHARE = 0.15
# An edge is there to be seen where this share of it differs by so many grey steps, so far (in diagonals) from it.
EDGE_SHARE = 0.3
EDGE_CONTRAST = 6
EDGE_APART = 0.007
# Resamples of the films for the interval of an AUC.
RESAMPLES = 300
# Codes that name the fault which was photographed; several may, as a far film is blurred too.
NAMED = {
    "blur": {"blurred"},
    "glare": {"glare", "overexposed"},
    "dark": {"underexposed", "no_film"},
    "burnt": {"overexposed", "glare", "no_film"},
    "far": {"film_far", "no_film"},
    "cut": {"film_cut", "lungs_cut"},
    "several": {"several_films"},
    "none": {"no_film"},
}


def load_films(part: str) -> tuple[list[np.ndarray], np.ndarray]:
    """Return the sharp films of a part, and their labels (films, findings)."""
    films = read_films(FILMS)
    parts = split_as_shipped(films)
    own = [film for film, of in zip(films, parts, strict=True) if of == part and not film.thumbnail]
    return [load_grey(FILMS / film.path) for film in own], label_array(own)


def corner_error(corners: np.ndarray, truth: np.ndarray, shape: tuple[int, int]) -> float:
    """Return the largest distance of a corner from the truth, in shares of the film's diagonal.

    What the photograph does not show cannot be found: a corner outside counts as the frame's.
    """
    last = np.array(shape[1::-1]) - 0.5
    corners, truth = (np.clip(points, -0.5, last) for points in (corners, truth))
    diagonal = max(np.linalg.norm(truth[2] - truth[0]), np.linalg.norm(truth[3] - truth[1]))
    return float(np.linalg.norm(corners - truth, axis=1).max() / diagonal)


def sees_edges(photo: np.ndarray, corners: np.ndarray) -> bool:
    """Tell whether a photograph shows all four edges at all.

    The black border of a film on a black mask and its clear border on a burnt-out box leave nothing to be found: on
    each side some of the length must differ between just inside and just outside, by more than noise.
    """
    grey = cv2.GaussianBlur(cv2.cvtColor(photo, cv2.COLOR_BGR2GRAY), (0, 0), 2).astype(np.float32)
    away = EDGE_APART * np.linalg.norm(corners[2] - corners[0])
    for start, end in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        along = (end - start) / np.linalg.norm(end - start)
        outwards = np.array([along[1], -along[0]])
        places = start + np.linspace(0.05, 0.95, 64)[:, np.newaxis] * (end - start)
        inner, outer = (
            cv2.remap(grey, *np.float32((places + way * away * outwards).T[..., np.newaxis]), cv2.INTER_LINEAR)
            for way in (-1, 1)
        )
        if (np.abs(inner - outer) >= EDGE_CONTRAST).mean() < EDGE_SHARE:
            return False
    return True


def photograph_well(films: list[np.ndarray], random: np.random.Generator, place: int, **options) -> Photograph:
    """Return a good photograph of the film at PLACE, hanging anyhow."""
    hanging = int(random.integers(4)), bool(random.random() < 0.3), bool(random.random() < NEGATIVE_SHARE)
    return photograph(films[place % len(films)], random, SIZES[random.integers(2)], hanging=hanging, **options)


def measure_corners(shots: list[tuple[np.ndarray, np.ndarray, str]]) -> dict:
    """Return the errors of the corners of photographs with the truth and a name of their kind."""
    errors, seen = defaultdict(list), defaultdict(list)
    for photo, truth, kind in shots:
        found = find_film(photo)
        errors[kind].append(1.0 if found is None else corner_error(found.points, truth, photo.shape))
        seen[kind].append(sees_edges(photo, truth))
    every, visible = (np.concatenate(list(values.values())) for values in (errors, seen))
    return {
        "photographs": len(every),
        "share with error <= 1 %": share_right(every),
        "all four edges are there to be seen in": round(float(visible.mean()), 4),
        "share with error <= 1 % of those": share_right(every[visible]),
        "error of those in %, median, p95": [round(100 * float(v), 3) for v in np.percentile(every[visible], [50, 95])],
        "those by kind": {kind: share_right(np.array(values)[np.array(seen[kind])]) for kind, values in errors.items()},
    }


def share_right(errors: np.ndarray) -> float:
    """Return the share of errors of at most one percent of the diagonal."""
    return round(float((errors <= 0.01).mean()), 4) if len(errors) else 0.0


def shoot_films(films: list[np.ndarray], count: int) -> list[tuple[np.ndarray, np.ndarray, str]]:
    """Return photographs by the training room."""
    shots = []
    for place in range(count):
        film = cv2.resize(films[place % len(films)], (1024, 1024))
        shot = shoot(torch.from_numpy(film)[None, None].float() / 255, 1024)
        rgb = (shot.photos[0].permute(1, 2, 0).numpy() * 255).round().astype(np.uint8)
        shots.append((np.ascontiguousarray(rgb[..., ::-1]), shot.corners[0].numpy(), "shoot"))
    return shots


def try_to_read(photo: np.ndarray) -> Captured | str:
    """Return the film of a photograph, or the code of its refusal."""
    try:
        return read_photograph(photo)
    except RefusedError as err:
        return err.code


def measure_reading(shots: list[Photograph]) -> dict:
    """Return how good photographs are turned upright, and how many are refused."""
    answers = [(shot, try_to_read(shot.photo)) for shot in shots]
    read = [(shot, answer) for shot, answer in answers if isinstance(answer, Captured)]
    sided = [(shot, answer) for shot, answer in read if answer.mirrored != "ask"]
    return {
        "photographs": len(shots),
        "refused": round(1 - len(read) / len(shots), 4),
        "refused because": dict(Counter(answer for _, answer in answers if isinstance(answer, str))),
        "turn right": round(float(np.mean([a.rotation == 90 * s.turns for s, a in read])), 4),
        "negative right": round(float(np.mean([a.negative == s.negative for s, a in read])), 4),
        "mirror asked": round(1 - len(sided) / len(read), 4),
        "mirror right where not asked": round(
            float(np.mean([(a.mirrored == "yes") == s.mirrored for s, a in sided])), 4
        ),
    }


def measure_refusals(films: list[np.ndarray], random: np.random.Generator, count: int) -> dict:
    """Return for each fault the share that was refused, and refused by its name."""
    shares = {}
    for fault in FAULTS:
        answers = [
            try_to_read(photograph_well(films, random, place, scene="box", fault=fault).photo) for place in range(count)
        ]
        codes = [answer for answer in answers if isinstance(answer, str)]
        named = sum(code in NAMED[fault] for code in codes)
        shares[fault] = {
            "refused": round(len(codes) / count, 3),
            "named": round(named / count, 3),
            "codes": dict(Counter(codes)),
        }
    return shares


def measure_grey(shots: list[Photograph], films: list[np.ndarray]) -> dict:
    """Return how many good photographs are told from films once their colours are gone, and films taken for one."""
    told = defaultdict(list)
    for shot in shots:
        told[shot.scene].append(is_photograph(cv2.cvtColor(shot.photo, cv2.COLOR_BGR2GRAY)))
    return {
        "told": round(float(np.mean(np.concatenate(list(told.values())))), 4),
        "told by scene": {scene: round(float(np.mean(each)), 3) for scene, each in sorted(told.items())},
        "films": len(films),
        "films taken for photographs": sum(map(is_photograph, films)),
        "of all pictures in ../shared/cxr": measure_shared(),
    }


def measure_shared() -> dict:
    """Return which of all shared pictures of films, whatever patient they show, are taken for photographs."""
    paths = [path for kind in ("images", "fullres") for path in sorted((FILMS / kind).rglob("*"))]
    films, taken = 0, []
    for path in paths:
        if path.suffix.lower() in (".png", ".jpg", ".jpeg"):
            with suppress(RefusedError):
                grey = decode_film(path).grey
                films += 1
                if is_photograph(grey):
                    taken.append(path.name)
    return {"films": films, "taken for photographs": taken}


def measure_coach(shots: list[Photograph]) -> dict:
    """Return how many frames a second the coach judges on one thread, from frames of 1280 x 960."""
    frames = [shot.photo for shot in shots]
    coach(frames[0])
    took = []
    for frame in frames:
        started = time.perf_counter()
        coach(frame)
        took.append(time.perf_counter() - started)
    return {
        "frames/s, median": round(1 / float(np.median(took)), 1),
        "frames/s, p95": round(1 / float(np.percentile(took, 95)), 1),
    }


def mean_auc(logits: np.ndarray, labels: np.ndarray) -> float:
    """Return the mean AUC over the findings that occur."""
    known = [place for place in range(labels.shape[1]) if 0 < labels[:, place].sum() < len(labels)]
    return float(np.mean([roc_auc_score(labels[:, place], logits[:, place]) for place in known]))


def measure_auc(
    films: list[np.ndarray], labels: np.ndarray, kinds: dict[str, Callable[[], list[np.ndarray]]], count: int
) -> dict:
    """Return how the mean AUC on films taken out of photographs differs from that on the same films flat.

    Each film is photographed COUNT times, because one photograph of each moves the mean AUC by a hundredth of its own;
    the interval is over films. The same photographs are read by all looks at them, and by one. Refused photographs are
    read as well. The hard photographs show the films hanging anyhow: what turning them wrongly costs is part of it.
    """
    reader = make_reader(Settings())
    flat = np.array([reader.infer(film).logits for film in films])
    result = {"films": len(films), "photographs of each": count, "flat": round(mean_auc(flat, labels), 4)}
    for kind, take in kinds.items():
        looks, one = zip(*(read_all(reader, take()) for _ in range(count)), strict=True)
        result[kind] = {
            "found": round(float(np.mean([np.isfinite(logits[:, 0]).mean() for logits in looks])), 4),
            "difference, by all looks": describe_difference(looks, flat, labels),
            "difference, by one look": describe_difference(one, flat, labels),
        }
    return result


def describe_difference(draws: Sequence[np.ndarray], flat: np.ndarray, labels: np.ndarray) -> dict:
    """Return the difference of the mean AUC, its interval over the films, and that of each draw."""
    everyone, random = np.arange(len(flat)), np.random.default_rng(0)
    resampled = [differ(draws, flat, labels, random.choice(everyone, len(everyone))).mean() for _ in range(RESAMPLES)]
    each = differ(draws, flat, labels, everyone)
    return {
        "mean": round(float(each.mean()), 4),
        "95 %": np.percentile(resampled, [2.5, 97.5]).round(4).tolist(),
        "of each draw": each.round(4).tolist(),
    }


def read_all(reader: Reader, photos: list[np.ndarray]) -> np.ndarray:
    """Return the logits of the film in each photograph by all looks at it, and by one: (2, photographs, findings).

    NaN where no film is found.
    """
    logits = np.full((2, len(photos), len(reader.bundle.manifest.labels)), np.nan)
    for place, photo in enumerate(photos):
        if find_film(photo) is not None:
            film = read_photograph(photo, override=True).film
            logits[:, place] = [reader.infer(film, source).logits for source in (CAMERA, "scanner")]
    return logits


def differ(draws: Sequence[np.ndarray], flat: np.ndarray, labels: np.ndarray, films: np.ndarray) -> np.ndarray:
    """Return by how much the mean AUC of each draw differs from that of the same films flat."""
    found = [films[np.isfinite(logits[films, 0])] for logits in draws]
    return np.array(
        [
            mean_auc(of[own], labels[own]) - mean_auc(flat[own], labels[own])
            for of, own in zip(draws, found, strict=True)
        ]
    )


def measure_real_photographs() -> dict:
    """Return what is made of the two real photographs."""
    answers = {path.name: try_to_read(cv2.imread(str(path))) for path in sorted((FILMS / "photos").glob("*.jpg"))}
    return {
        name: answer
        if isinstance(answer, str)
        else {"corners": answer.corners.round(1).tolist(), "steps": answer.steps}
        for name, answer in answers.items()
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--part", default="test", choices=["validation", "test"])
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--draws", type=int, default=5, help="photographs of each film for the AUC; 0: no AUC")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    torch.manual_seed(5)
    random = np.random.default_rng(5)
    films, labels = load_films(options.part)
    shots = [photograph_well(films, random, place) for place in range(options.count)]
    shot_films = shoot_films(films, options.count)
    result = {
        "corners, hard": measure_corners([(s.photo, s.corners, s.scene) for s in shots]),
        "corners, shoot": measure_corners(shot_films),
        "good photographs": measure_reading(shots),
        "shoot's photographs refused": dict(
            Counter(check_capture(p, find_film(p)) is not None for p, *_ in shot_films)
        ),
        "without colours": measure_grey(shots, films),
        "faults": measure_refusals(films, random, max(10, options.count // 8)),
        "coach": measure_coach(shots[:60]),
        "real photographs": measure_real_photographs(),
    }
    if options.draws:
        films, labels = films[: options.count], labels[: options.count]
        kinds = {
            "hard": lambda: [photograph_well(films, random, place).photo for place in range(len(films))],
            "shoot": lambda: [photo for photo, *_ in shoot_films(films, len(films))],
        }
        result["mean AUC"] = measure_auc(films, labels, kinds, options.draws)
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
