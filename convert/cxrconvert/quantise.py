"""From a rebuilt body to TFLite files: float for parity, full-integer int8 for the Edge TPU."""

import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import tensorflow as tf


def to_float(body: Callable) -> bytes:
    """Return a body as a float32 TFLite file: what the converter alone does to it."""
    converter = tf.lite.TFLiteConverter.from_concrete_functions([body], tf.Module())
    with quiet():
        return converter.convert()


def to_int8(body: Callable, films: np.ndarray, scale: float, zero_point: int) -> bytes:
    """Return a body as a full-integer TFLite file with uint8 ends.

    Parameters
    ----------
    body : ConcreteFunction
        From `cxrconvert.rebuild`.
    films : ndarray of uint8, shape (films, size, size, 3)
        Representative films. A black and a white picture are added, so that the range of the input is
        the whole of 0..255 and raw pixels are its quantised values.
    scale, zero_point : float, int
        The scaling that the body was trained with: scale * (pixel - zero_point).
    """
    extremes = [np.full_like(films[0], grey) for grey in (0, 255)]

    def representative() -> Iterator[list[np.ndarray]]:
        for film in (*extremes, *films):
            yield [(scale * (film[np.newaxis].astype(np.float32) - zero_point)).astype(np.float32)]

    converter = tf.lite.TFLiteConverter.from_concrete_functions([body], tf.Module())
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = representative
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.uint8
    # Dense layers quantised per channel are a newer form that edgetpu_compiler 16 does not know.
    converter._experimental_disable_per_channel_quantization_for_dense_layers = True
    with quiet():
        return converter.convert()


@contextmanager
def quiet() -> Iterator[None]:
    """Hold back what TensorFlow's C++ side writes to stderr; show it only if the conversion fails."""
    sys.stderr.flush()
    stderr = os.dup(2)
    with tempfile.TemporaryFile() as noise:
        os.dup2(noise.fileno(), 2)
        try:
            yield
        except BaseException:
            noise.seek(0)
            os.write(stderr, noise.read())
            raise
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
