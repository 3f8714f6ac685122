"""Exception classes with their exit codes, and helpers for error messages.

    VagentError                     exit 3
     +-- UsageError                 exit 2   invalid command line
     +-- ConfigError                exit 1   an agent or scenario file has findings
     +-- FileUnreadable             exit 3   a file could not be read or written
     +-- ProtocolError              abstract: the protocol was violated
     |    +-- LocalProtocolError    exit 3   by this end: a bug
     |    +-- RemoteProtocolError   exit 3   by the other end
     +-- TransportError             exit 3   a connection failed
     |    +-- ConnectionLost        exit 3   an open connection ended
     |    +-- AuthenticationRejected  exit 4   the service does not take the key
     +-- AudioError                 exit 3
     |    +-- AudioUnavailable      exit 3   no PortAudio, no sound card
     |    +-- DeviceNotFound        exit 3   no such microphone or speaker
     |    +-- AudioFileError        exit 3   invalid or unwritable audio file
     +-- SpeechError                exit 3   a local model cannot be loaded or run
     |    +-- ModelMissing          exit 3   weights that are not in the cache
     +-- ToolError                  exit 3   a tool cannot be loaded; a failed *tool
                                             call* is a result, not an exception

A message is lower case without a full stop and quotes the user's value; a hint is one
imperative.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, ClassVar, Self

if TYPE_CHECKING:
    from collections.abc import Sequence


class VagentError(Exception):
    """Base class: the command line prints the message, without a traceback.

    `exit_code` is the exit code of the command line.
    """

    exit_code: ClassVar[int] = 3

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return self.message

    @property
    def with_hint(self) -> str:
        """The message, followed by the hint in parentheses if there is one."""
        return f"{self.message} ({self.hint})" if self.hint else self.message

    @classmethod
    def from_os_error(cls, path: object, verb: str, error: Exception) -> Self:
        """Returns the error for a path that cannot be read, written or deleted."""
        is_link = isinstance(error, OSError) and error.errno == errno.ELOOP
        return cls(
            f"{path} cannot be {verb}: {os_error_text(error)}",
            hint="name the file or folder that the link points to" if is_link else None,
        )


class UsageError(VagentError):
    """The command line is contradictory or names something that does not exist."""

    exit_code = 2


class ConfigError(VagentError):
    """A file has errors; `diagnostics` holds all of its diagnostics, sorted."""

    exit_code = 1

    def __init__(self, message: str, diagnostics: Sequence[object] = ()) -> None:
        super().__init__(message)
        self.diagnostics = tuple(diagnostics)


class FileUnreadable(VagentError):
    """A file or folder could not be read or written."""


class ProtocolError(VagentError):
    """The protocol was violated; abstract, the subclasses name the end at fault."""

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        if type(self) is ProtocolError:
            raise TypeError("raise LocalProtocolError or RemoteProtocolError")
        super().__init__(message, hint=hint)


class LocalProtocolError(ProtocolError):
    """This end tried to send what the protocol does not allow: a bug in vagent."""


class RemoteProtocolError(ProtocolError):
    """The other end sent what the protocol does not allow.

    `code` is the error code of the wire (`invalid_format`, `invalid_audio`, ...),
    `message_type` the type of the invalid message if it was readable.
    """

    def __init__(
        self,
        message: str,
        *,
        code: str = "invalid_format",
        message_type: str | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message_type = message_type


class TransportError(VagentError):
    """The connection could not be opened, or is closed.

    `status` is the HTTP status if the connection was refused with one.
    """

    def __init__(
        self, message: str, *, hint: str | None = None, status: int | None = None
    ) -> None:
        super().__init__(message, hint=hint)
        self.status = status


class ConnectionLost(TransportError):
    """An open connection ended; `code` is its WebSocket close code, if it had one."""

    def __init__(self, message: str, code: int | None = None) -> None:
        super().__init__(message)
        self.code = code


class AuthenticationRejected(TransportError):
    """The service does not accept the key."""

    exit_code = 4

    def __init__(
        self, message: str, *, hint: str | None = None, status: int | None = 401
    ) -> None:
        super().__init__(message, hint=hint, status=status)


class AudioError(VagentError):
    """Audio could not be captured or played."""


class AudioUnavailable(AudioError):
    """This machine has no PortAudio library or no sound card."""


class DeviceNotFound(AudioError):
    """No microphone or speaker has this name or number."""


class AudioFileError(AudioError):
    """An audio file is invalid or cannot be written."""


class SpeechError(VagentError):
    """A local speech or language model could not be loaded or run."""


class ModelMissing(SpeechError):
    """Weights are not in the cache and were not fetched."""


class ToolError(VagentError):
    """A tool could not be loaded."""


def os_error_text(error: BaseException) -> str:
    """Returns the reason of a failed system call, in lower case and without a path.

    For other exceptions, returns their text.
    """
    if isinstance(error, OSError):
        return (error.strerror or str(error)).lower()
    return str(error)


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """Returns a number with its noun: `1 reply`, `2 replies`."""
    return f"{number} {noun if number == 1 else plural or noun + 's'}"
