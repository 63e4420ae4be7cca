"""Errors of the box."""


class BoxError(Exception):
    """Root of all errors of cxrbox."""


class ConfigError(BoxError, ValueError):
    """A setting is unknown or out of bounds."""


class BackendError(BoxError, RuntimeError):
    """The body cannot be run on this machine, or does not answer as it did when the bundle was made."""


class DeviceLostError(BackendError, ConnectionError):
    """The Edge TPU, or its stand-in, cannot be opened, does not answer in time or is gone."""


class CameraError(BoxError, OSError):
    """The camera is not there, or does not send pictures."""


class FlatFieldError(BoxError, ValueError):
    """The frame of the empty light box is not one, or is none of this camera."""


class AlreadyRunningError(BoxError, RuntimeError):
    """Another box works on the same state folder."""


class FilmError(BoxError, LookupError):
    """There is no such film, or what was asked cannot be done with it."""


class RefusedError(BoxError, ValueError):
    """A film that cannot be read; never a crash, always listed.

    Attributes
    ----------
    code : str
        Short name of the reason, one of `cxrbox.refusals.ADVICE`.
    reason : str
        One sentence for people: the reason and what to do. It names no patient.
    """

    def __init__(self, code: str, reason: str):
        super().__init__(reason)
        self.code = code
        self.reason = reason
