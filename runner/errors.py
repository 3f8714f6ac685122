"""Every way in which vagent gives up, as one tree.

    VagentError                     exit 3
     +-- UsageError                 exit 2   the command line asks for the impossible
     +-- ConfigError                exit 1   an agent or scenario file has findings
     +-- FileUnreadable             exit 3   a file could not be read or written
     +-- ProtocolError              abstract: the wire was not spoken as agreed
     |    +-- LocalProtocolError    exit 3   by us: a bug
     |    +-- RemoteProtocolError   exit 3   by the other end
     +-- TransportError             exit 3   no connection, or none any more
     |    +-- ConnectionLost     exit 3   an open connection ended
     |    +-- AuthenticationRejected  exit 4   the service does not take the key
     +-- AudioError                 exit 3
     |    +-- AudioUnavailable      exit 3   no PortAudio, no sound card
     |    +-- DeviceNotFound        exit 3   no such microphone or speaker
     |    +-- AudioFileError        exit 3   a sound file that is none
     +-- SpeechError                exit 3   a local model cannot be loaded or run
     |    +-- ModelMissing          exit 3   weights that are not in the cache
     +-- ToolError                  exit 3   a tool that cannot be loaded; a failing
                                             *call* never leaves the registry

A message is lower case without a full stop and quotes the user's value; a hint says
what to do next. `exit_code` is what the command line exits with. The functions at the
end word what messages have in common.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Self

if TYPE_CHECKING:
    from collections.abc import Sequence


class VagentError(Exception):
    """Something that a person should read as a sentence, never as a traceback."""

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
        """Return the error for a path that cannot be read, written or deleted."""
        return cls(f"{path} cannot be {verb}: {os_error_text(error)}")


class UsageError(VagentError):
    """The command line contradicts itself or names something that is not there."""

    exit_code = 2


class ConfigError(VagentError):
    """A file has findings; `diagnostics` holds all of them, sorted."""

    exit_code = 1

    def __init__(self, message: str, diagnostics: Sequence[object] = ()) -> None:
        super().__init__(message)
        self.diagnostics = tuple(diagnostics)


class FileUnreadable(VagentError):
    """A file or folder could not be read or written."""


class ProtocolError(VagentError):
    """The wire was not spoken as agreed; raise a subclass, which names the culprit."""

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        if type(self) is ProtocolError:
            raise TypeError("raise LocalProtocolError or RemoteProtocolError")
        super().__init__(message, hint=hint)


class LocalProtocolError(ProtocolError):
    """This side tried to say what the protocol does not allow: a bug in vagent."""


class RemoteProtocolError(ProtocolError):
    """The other end said what the protocol does not allow.

    `code` is the wire's own word for it (`invalid_format`, `invalid_audio`, ...), and
    `message_type` the type of the offending message where it was readable.
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
    """The connection could not be made, or is no longer there.

    `status` is the HTTP status with which it was refused, if it was.
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
    """Sound could not be taken in or put out."""


class AudioUnavailable(AudioError):
    """This machine has no sound library or no sound card."""


class DeviceNotFound(AudioError):
    """No microphone or speaker goes by that name or number."""


class AudioFileError(AudioError):
    """A sound file that is none, or that cannot be written."""


class SpeechError(VagentError):
    """A local speech or language model could not be loaded or run."""


class ModelMissing(SpeechError):
    """Weights are not in the cache and were not fetched."""


class ToolError(VagentError):
    """A tool could not be loaded."""


def os_error_text(error: BaseException) -> str:
    """Return the reason of a failed system call, in lower case and without a path.

    For other exceptions, returns their text.
    """
    if isinstance(error, OSError):
        return (error.strerror or str(error)).lower()
    return str(error)


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """Return a number with its noun: `1 reply`, `2 replies`."""
    return f"{number} {noun if number == 1 else plural or noun + 's'}"
