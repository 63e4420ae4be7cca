"""Errors of the training room."""


class TrainError(Exception):
    """Root of all errors of cxrtrain."""


class FilmsError(TrainError, ValueError):
    """The films or their manifest cannot be trained on."""


class DivergedError(TrainError, ArithmeticError):
    """The loss is NaN or infinite."""


class RecipeError(TrainError, ValueError):
    """A recipe has a key or a value that it cannot have."""


class RunError(TrainError, ValueError):
    """The folder of a run cannot be used."""


class NetworkError(TrainError, ValueError):
    """A network cannot be built, or not be run where it is wanted."""
