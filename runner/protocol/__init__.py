"""The wire protocol, pure: no input or output, no clock, no asyncio."""
