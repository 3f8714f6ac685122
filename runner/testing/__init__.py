"""Agents tested like code: a scripted service, virtual time, and scenarios run on them."""
