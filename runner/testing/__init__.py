"""Agents tested like code: a scripted service, virtual time, scenarios run on them."""
