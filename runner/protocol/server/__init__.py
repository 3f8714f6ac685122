"""The server side of a session: a pure state machine and its parts."""
