"""The wire protocol as pure state machines: no I/O, no clock, no asyncio."""
