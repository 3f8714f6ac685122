"""Reports of recorded calls: terminal, JSON and HTML."""
