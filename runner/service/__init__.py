"""The local service: the other end of the wire."""
