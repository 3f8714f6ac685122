"""The client's end of a session: a pure state machine and its parts."""
