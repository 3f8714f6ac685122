"""Seeing inside a call: metrics, traces and logs, each only when asked for."""
