"""What is sent to the page is written down as it comes. A disk that is full must not cost the sender an answer."""

import errno
import io
import os
import tempfile
from contextlib import suppress
from pathlib import Path

from waitress.buffers import OverflowableBuffer
from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser


class LostBody(io.RawIOBase):
    """What the application gets in place of a body that could not be written down: reading it fails as that did."""

    def readable(self) -> bool:
        """Return that it may be tried."""
        return True

    def readinto(self, _buffer) -> int:
        """Fail."""
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


class SpoolBuffer(OverflowableBuffer):
    """The body of a request. Once it cannot be written down it is dropped, and the rest of it as it comes.

    waitress would cut the connection, and the browser would only say that it is lost; as it is, the application
    finds a `LostBody`, and answers.
    """

    dropped = False

    def append(self, s: bytes) -> None:
        """Write down what came."""
        if self.dropped:
            return
        try:
            super().append(s)
        except OSError:
            self.dropped = True
            # What is still in memory cannot be written either.
            with suppress(OSError):
                self.close()
            self.buf, self.strbuf = None, b""

    def getfile(self) -> io.IOBase:
        """Return the body as a file."""
        return LostBody() if self.dropped else super().getfile()


class SpoolingParser(HTTPRequestParser):
    """Reads requests and has their bodies in a `SpoolBuffer`."""

    def parse_header(self, header_plus: bytes) -> None:
        """Read the header of a request and prepare for its body."""
        super().parse_header(header_plus)
        if self.body_rcv is not None:
            self.body_rcv.buf = SpoolBuffer(self.adj.inbuf_overflow)


def spool_into(folder: Path) -> None:
    """Have the server of this process write what it receives into a folder; such a file has no name there."""
    folder.mkdir(parents=True, exist_ok=True)
    # Elsewhere /tmp lies in memory, and films would fill that.
    tempfile.tempdir = str(folder)
    HTTPChannel.parser_class = SpoolingParser
