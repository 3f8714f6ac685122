"""Scenario files: what an agent is expected to say and do, as YAML beside it."""
