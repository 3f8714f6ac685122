"""Faults made on purpose: what goes wrong on a line, and when; no sockets, no clock."""
