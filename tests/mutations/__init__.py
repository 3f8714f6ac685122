"""Valid agent files, each spoiled in one known place: what a checker must find."""
