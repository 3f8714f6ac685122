"""An open connection, against real servers on this machine."""

from __future__ import annotations

import array
import asyncio
import json
import struct
import sys
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection

from runner.engine.transports.dialer import MAX_MESSAGE_BYTES, UNSENT_BYTES
from tests.engine.transports.conversation import (
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    Ear,
    accept,
    frame,
    frames,
    raw_server,
    server,
)


async def echo(connection: ServerConnection) -> None:
    async for message in connection:
        await connection.send(message)


async def test_text_goes_there_and_comes_back(dialer: Any, ear: Ear) -> None:
    async with server(echo) as url:
        await dialer(url)(None, ear)
        ear.write("hello ü")
        ear.write("x" * 70_000)
        await ear.until(lambda: len(ear.texts) == 2)

    assert ear.texts == ["hello ü", "x" * 70_000]


async def test_what_comes_with_the_handshake_is_heard_after_the_opening(
    dialer: Any,
    ear: Ear,
) -> None:
    async def hasty(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answer = await accept(reader)
        close = frame(CLOSE, struct.pack("!H", 1008) + b"no")
        writer.write(answer + frame(TEXT, b"one") + frame(TEXT, b"two") + close)
        await writer.drain()
        await reader.read()

    async with raw_server(hasty) as url:
        await dialer(url)(None, ear)
        error = await ear.loss()

    assert ear.texts == ["one", "two"]
    assert error.code == 1008


async def test_a_message_in_fragments_is_reported_whole(dialer: Any, ear: Ear) -> None:
    async def talk(connection: ServerConnection) -> None:
        await connection.send(["one ", "mess", "age ü"])
        await connection.send([b"\1", b"\2"])
        await connection.wait_closed()

    async with server(talk) as url:
        await dialer(url)(None, ear)
        await ear.until(lambda: len(ear.texts) == 2)

    assert ear.texts == ["one message ü", b"\1\2"]


async def test_a_character_may_be_cut_by_a_fragment_and_a_ping_may_lie_between(
    dialer: Any,
    ear: Ear,
) -> None:
    pongs: list[bytes] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await accept(reader))
        ue = "ü".encode()
        writer.write(frame(TEXT, ue[:1], fin=False))
        writer.write(frame(PING, b"there?"))
        writer.write(frame(CONTINUATION, ue[1:]))
        async for opcode, data in frames(reader):
            if opcode == PONG:
                pongs.append(data)

    async with raw_server(talk) as url:
        await dialer(url)(None, ear)
        await ear.until(lambda: bool(ear.texts))
        await ear.close()

    assert ear.texts == ["ü"]
    assert pongs == [b"there?"]


async def test_text_that_is_not_utf_8_ends_the_connection(
    dialer: Any, ear: Ear
) -> None:
    code: asyncio.Future[bytes] = asyncio.Future()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await accept(reader))
        writer.write(frame(TEXT, b"\xff") + frame(TEXT, b"never heard"))
        async for opcode, data in frames(reader):
            if opcode == CLOSE:
                code.set_result(data[:2])

    async with raw_server(talk) as url:
        await dialer(url)(None, ear)
        await ear.loss()
        async with asyncio.timeout(5):
            assert await code == struct.pack("!H", 1007)

    assert ear.texts == []


@pytest.mark.parametrize(
    ("data", "code", "message"),
    [
        (struct.pack("!H", 1008) + b"no", 1008, "(1008: no)"),
        (struct.pack("!H", 1001), 1001, "(1001)"),
        (struct.pack("!H", 4001) + "ü".encode(), 4001, "(4001: ü)"),
        (b"", 1005, "(1005)"),
    ],
)
async def test_a_close_reports_its_code_and_reason(
    dialer: Any, ear: Ear, data: bytes, code: int, message: str
) -> None:
    answers: list[tuple[int, bytes]] = []

    async def close(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await accept(reader))
        writer.write(frame(CLOSE, data))
        async for answer in frames(reader):
            answers.append(answer)

    async with raw_server(close) as url:
        await dialer(url)(None, ear)
        error = await ear.loss()
        await ear.close()

    assert error.code == code
    assert error.message == f"the service closed the connection {message}"
    assert [opcode for opcode, _ in answers] == [CLOSE]


async def test_a_close_is_reported_though_the_other_end_keeps_the_socket(
    dialer: Any,
    ear: Ear,
) -> None:
    told = asyncio.Event()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await accept(reader))
        writer.write(frame(CLOSE, struct.pack("!H", 1011)))
        await told.wait()

    async with raw_server(talk) as url:
        await dialer(url)(None, ear)
        error = await ear.loss()
        told.set()
        await ear.close()

    assert error.code == 1011


async def test_a_cut_line_has_no_code(dialer: Any, ear: Ear) -> None:
    async def cut(connection: ServerConnection) -> None:
        connection.transport.abort()

    async with server(cut) as url:
        await dialer(url)(None, ear)
        error = await ear.loss()

    assert (error.message, error.code) == ("the line was lost", None)


async def test_the_largest_message_is_taken_whole(dialer: Any, ear: Ear) -> None:
    text = json.dumps("x" * (MAX_MESSAGE_BYTES - 2))

    async def talk(connection: ServerConnection) -> None:
        await connection.send(text)
        await connection.wait_closed()

    async with server(talk) as url:
        await dialer(url)(None, ear)
        await ear.until(lambda: bool(ear.texts))

    assert ear.texts == [text]


@pytest.mark.parametrize("pieces", [1, 2, 9])
async def test_a_message_beyond_the_limit_ends_the_connection(
    dialer: Any, ear: Ear, pieces: int
) -> None:
    async def flood(connection: ServerConnection) -> None:
        piece = "x" * (MAX_MESSAGE_BYTES // pieces + 1)
        await connection.send([piece] * pieces if pieces > 1 else piece)

    async with server(flood) as url:
        await dialer(url)(None, ear)
        error = await ear.loss()

    assert ear.texts == []
    assert error.code == 1009
    assert error.message == "the service sent a message that is too large"


async def test_fragments_without_end_are_bounded_by_the_limit_too(
    dialer: Any, ear: Ear
) -> None:
    async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await accept(reader))
        writer.write(frame(TEXT, b"x", fin=False))
        piece = frame(CONTINUATION, b"x" * 60_000, fin=False)
        try:
            for _ in range(2 * MAX_MESSAGE_BYTES // 60_000):
                writer.write(piece)
                await writer.drain()
        except ConnectionError:
            pass

    async with raw_server(flood) as url:
        await dialer(url)(None, ear)
        error = await ear.loss()

    assert error.code == 1009


async def test_a_line_that_went_silent_is_given_up(dialer: Any, ear: Ear) -> None:
    pinged = asyncio.Event()

    async def half_open(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        writer.write(await accept(reader))
        async for opcode, _ in frames(reader):
            if opcode == PING:
                pinged.set()

    async with raw_server(half_open) as url:
        await dialer(url, ping_seconds=0.05, pong_seconds=0.05)(None, ear)
        error = await ear.loss()

    assert pinged.is_set()
    assert error.code is None
    assert "nothing was heard" in error.message


async def test_a_silent_line_on_which_nothing_can_be_written_is_given_up_too(
    dialer: Any,
    ear: Ear,
) -> None:
    over = asyncio.Event()

    async def half_open(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        writer.write(await accept(reader))
        await over.wait()

    async with raw_server(half_open) as url:
        await dialer(url, ping_seconds=0.05, pong_seconds=0.05)(None, ear)
        assert ear.transport is not None
        while ear.transport.is_writable:
            ear.write("x" * 60_000)
            await asyncio.sleep(0)
        error = await ear.loss()
        over.set()

    assert "nothing was heard" in error.message


async def test_a_quiet_line_that_answers_pings_is_kept(dialer: Any, ear: Ear) -> None:
    async def answer(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        writer.write(await accept(reader))
        pings = 0
        async for opcode, data in frames(reader):
            if opcode == PING:
                pings += 1
                writer.write(frame(PONG, data))
            if pings == 2:
                writer.write(frame(TEXT, b"still here"))

    async with raw_server(answer) as url:
        await dialer(url, ping_seconds=0.02, pong_seconds=0.3)(None, ear)
        await ear.until(lambda: bool(ear.texts))

        assert ear.errors == []


def held_back(transport: Any) -> tuple[int, int]:
    """Return the bytes that wait in this process, and those unsent in the kernel."""
    inner = (
        getattr(transport, "transport", None)
        or transport._transport.underlying_transport
    )
    unsent = array.array("i", [0])
    if sys.platform == "linux":
        import fcntl

        outq_not_sent = 0x894B  # SIOCOUTQNSD
        fcntl.ioctl(inner.get_extra_info("socket").fileno(), outq_not_sent, unsent)
    return inner.get_write_buffer_size(), unsent[0]


async def test_a_slow_upload_is_reported_after_little_has_piled_up(
    dialer: Any, ear: Ear
) -> None:
    may_read, read_all = asyncio.Event(), asyncio.Event()
    bytes_read = 0

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal bytes_read
        writer.write(await accept(reader))
        await may_read.wait()
        async for opcode, data in frames(reader):
            bytes_read += len(data) if opcode == TEXT else 0
            if data == b"last":
                read_all.set()

    message = "x" * 3_200
    async with raw_server(slow) as url:
        await dialer(url)(None, ear)
        transport: Any = ear.transport
        written = 0
        while transport.is_writable:
            ear.write(message)
            written += len(message)
            await asyncio.sleep(0)
        held, unsent = held_back(transport)
        may_read.set()
        await ear.until(lambda: ear.times_writable > 0)
        assert transport.is_writable
        ear.write("last")
        async with asyncio.timeout(5):
            await read_all.wait()

    assert held <= len(message) + 8  # one message and its head
    # A segment that has begun is filled up: 64 KiB on the loopback, less elsewhere.
    assert unsent <= UNSENT_BYTES + 65_536
    assert bytes_read == written + len("last")


async def test_writing_on_a_connection_that_is_gone_does_nothing(
    dialer: Any, ear: Ear
) -> None:
    async def cut(connection: ServerConnection) -> None:
        connection.transport.abort()

    async with server(cut) as url:
        await dialer(url)(None, ear)
        await ear.loss()
        ear.write("anybody there?")
        await ear.close()
        await ear.close()

    assert len(ear.errors) == 1


async def test_closing_says_so_after_what_was_written(dialer: Any, ear: Ear) -> None:
    heard: list[tuple[int, bytes]] = []
    over = asyncio.Event()

    async def listen(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        writer.write(await accept(reader))
        async for opcode, data in frames(reader):
            heard.append((opcode, data))
            if opcode == CLOSE:
                writer.write(frame(CLOSE, data))
                break
        over.set()

    async with raw_server(listen) as url:
        await dialer(url)(None, ear)
        ear.write("goodbye")
        await ear.close()
        await over.wait()

    assert heard == [(TEXT, b"goodbye"), (CLOSE, struct.pack("!H", 1000))]
