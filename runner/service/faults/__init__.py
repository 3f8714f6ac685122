"""Fault injection: connection and message faults that the local service performs."""
