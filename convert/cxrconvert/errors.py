"""Errors of the conversion room."""


class ConvertError(Exception):
    """Root of all errors of cxrconvert."""


class RunError(ConvertError, ValueError):
    """The run's folder lacks a file, or its files contradict each other or the contract."""


class FilmsError(ConvertError, ValueError):
    """The films cannot be read, or are too few for what is asked of them."""


class UnsupportedOperatorError(ConvertError, NotImplementedError):
    """The ONNX body has an operator, or a form of one, that cannot be rebuilt."""


class QuantisationError(ConvertError, ArithmeticError):
    """The int8 body is not quantised as the contract says."""


class NotForEdgeTpuError(ConvertError, ValueError):
    """The int8 body holds an operator or a tensor that the Edge TPU compiler refuses."""


class OutputError(ConvertError, OSError):
    """The bundle's folder cannot be written."""
