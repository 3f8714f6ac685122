"""Opens a session with a service and ends it: what shows that the key is taken."""

from __future__ import annotations

import asyncio

from runner.errors import ConnectionLost, RemoteProtocolError, TransportError
from runner.line import Dial, Transport
from runner.protocol.codec import decode_server, encode
from runner.protocol.messages import (
    SessionEnd,
    SessionError,
    SessionReady,
    SessionUpdate,
)

_SESSION = {"system_prompt": "Say nothing."}  # no greeting, no tools


class Refused(Exception):
    """The service answered, and opened no session.

    `code` is that of its error, `close_code` that of the closing; one of them at most.
    """

    def __init__(
        self, text: str, *, code: str | None = None, close_code: int | None = None
    ) -> None:
        super().__init__(text)
        self.code = code
        self.close_code = close_code


async def shake_hands(dial: Dial, seconds: float) -> float:
    """Return how long it took, in seconds, until the session was ready.

    Raises:
        Refused: the service closed the connection or told an error.
        VagentError: there is no connection, or nothing came in time.
    """
    loop = asyncio.get_running_loop()
    began = loop.time()
    listener = _Listener(loop.create_future())
    try:
        async with asyncio.timeout(seconds):
            await dial(None, listener)
            await listener.outcome
    except TimeoutError as error:
        where = "opened no session" if listener.transport else "did not answer"
        raise TransportError(f"the service {where} within {seconds:g} s") from error
    finally:
        if listener.transport is not None:
            listener.transport.write(encode(SessionEnd()))
            await listener.transport.close()
    return loop.time() - began


class _Listener:
    """Sends the update once the connection stands, and waits for what comes of it."""

    def __init__(self, outcome: asyncio.Future[None]) -> None:
        self.outcome = outcome
        self.transport: Transport | None = None  # from the opening on

    def opened(self, transport: Transport) -> None:
        self.transport = transport
        transport.write(encode(SessionUpdate(_SESSION)))

    def received(self, text: str | bytes) -> None:
        if self.outcome.done():
            return
        try:
            message = decode_server(text)
        except RemoteProtocolError as error:
            self.outcome.set_exception(error)
            return
        match message:
            case SessionReady():
                self.outcome.set_result(None)
            case SessionError(code=code, message=words):
                said = f"{words} ({code})" if words else code
                self.outcome.set_exception(Refused(said, code=code))
            case _:
                pass  # session.updated comes before, and what is not known yet

    def writable(self) -> None: ...

    def lost(self, error: ConnectionLost) -> None:
        if not self.outcome.done():
            refused = Refused(error.message, close_code=error.code)
            self.outcome.set_exception(refused)
