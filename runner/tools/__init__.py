"""Tools: what an agent may call, and the registry that runs the calls."""
