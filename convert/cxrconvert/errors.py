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


class GateError(ConvertError, ArithmeticError):
    """What a stage made differs by more than a gate allows from what was trained."""


class NotForEdgeTpuError(ConvertError, ValueError):
    """The int8 body holds an operator or a tensor that the Edge TPU compiler refuses."""


class OutputError(ConvertError, OSError):
    """The bundle's folder cannot be written."""


class NotTfliteError(ConvertError, ValueError):
    """A file is no TFLite file, or a damaged one."""


class NotCompiledError(ConvertError, ValueError):
    """A TFLite file was not made by the Edge TPU compiler."""


class CompilerSettingsError(ConvertError, ValueError):
    """The settings of the Edge TPU compiler contradict each other, or are of the wrong kind."""


class NoCompilerError(ConvertError, FileNotFoundError):
    """There is no Edge TPU compiler where the settings say."""


class CompilerError(ConvertError, RuntimeError):
    """The Edge TPU compiler ran, and did not come to an end."""


class SigningKeyError(ConvertError, ValueError):
    """A private key cannot be read, or its passphrase is missing or wrong."""


class BodyError(ConvertError, RuntimeError):
    """The body of a bundle does not load, or is not the one that its manifest describes."""
