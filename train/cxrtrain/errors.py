"""Errors of the training room."""


class TrainError(Exception):
    """Root of all errors of cxrtrain."""


class FilmsError(TrainError, ValueError):
    """The films or their manifest cannot be trained on."""


class DivergedError(TrainError, ArithmeticError):
    """The loss is NaN or infinite."""
