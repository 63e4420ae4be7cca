"""`make bench-convert`: how fast a converted body is against the float ones, all in one run; prints JSON.

Reads what the stages of a conversion left: RUN/conversion. Every body reads the same film in turn, so that what else
the machine does meets all of them; figures are medians, and ratios to the int8 body on the same number of threads.
"""

import argparse
import json
import statistics
import time
from pathlib import Path

import numpy as np
import onnxruntime
from ai_edge_litert.interpreter import Interpreter
from cxrbundle.phantom import draw_phantom
from cxrbundle.preprocess import to_input
from cxrconvert.bodies import scale_film

ROUNDS, WARM_UP = 40, 5
FILES = {"onnx": "export/body.onnx", "float": "rebuild/float.tflite", "int8": "quantise/int8.tflite"}


def open_tflite(path: Path, film: np.ndarray, threads: int):
    """Return a function that reads the film once."""
    interpreter = Interpreter(model_path=str(path), num_threads=threads)
    interpreter.allocate_tensors()
    (entry,), (exit_,) = interpreter.get_input_details(), interpreter.get_output_details()
    pixels = film if entry["dtype"] == np.uint8 else scale_film(film, 1 / 128, 127)

    def read() -> np.ndarray:
        interpreter.set_tensor(entry["index"], pixels)
        interpreter.invoke()
        return interpreter.get_tensor(exit_["index"])

    return read


def open_onnx(path: Path, film: np.ndarray, threads: int):
    """Return a function that reads the film once."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    # Its threads would go on turning while the next body reads.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    pixels = np.ascontiguousarray(scale_film(film, 1 / 128, 127).transpose(0, 3, 1, 2))
    name = session.get_inputs()[0].name
    return lambda: session.run(None, {name: pixels})


def side_of(path: Path) -> int:
    """Return the side of a TFLite body's input, in pixels."""
    return int(Interpreter(model_path=str(path)).get_input_details()[0]["shape"][1])


def measure(folder: Path) -> dict:
    """Return medians in milliseconds and ratios to int8, for 1 and 2 threads."""
    film = to_input(draw_phantom(0), side_of(folder / FILES["int8"]))
    result = {}
    for threads in (1, 2):
        readers = {
            name: (open_onnx if name == "onnx" else open_tflite)(folder / path, film, threads)
            for name, path in FILES.items()
        }
        times = {name: [] for name in readers}
        for _ in range(WARM_UP + ROUNDS):
            for name, read in readers.items():
                started = time.perf_counter()
                read()
                times[name].append(1000 * (time.perf_counter() - started))
        medians = {name: statistics.median(of[WARM_UP:]) for name, of in times.items()}
        result[f"{threads} threads"] = {
            "milliseconds": {name: round(of, 2) for name, of in medians.items()},
            "onnx_to_int8": round(medians["onnx"] / medians["int8"], 2),
            "float_to_int8": round(medians["float"] / medians["int8"], 2),
        }
    return result


def stage_costs(folder: Path) -> dict:
    """Return what each stage of the conversion took: seconds, and the peak memory of the process until then in MB."""
    reports = [json.loads(path.read_text("utf-8")) for path in folder.glob("[!.]*/report.json")]
    return {one["stage"]: [one["seconds"], one["peak_mb"]] for one in sorted(reports, key=lambda one: one["finished"])}


def main() -> None:
    """Measure the conversion of a run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path, help="folder of a run that `cxrconvert` has converted")
    folder = parser.parse_args().run / "conversion"
    missing = [path for path in FILES.values() if not (folder / path).is_file()]
    if missing:
        parser.error(f"{folder} lacks {missing[0]}; convert the run first")
    print(json.dumps({"speed": measure(folder), "stages_seconds_and_peak_mb": stage_costs(folder)}, indent=2))


if __name__ == "__main__":
    main()
