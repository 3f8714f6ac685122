"""Run voice agents that are described in YAML files."""

__all__ = ["__version__"]
__version__ = "0.1.0"
