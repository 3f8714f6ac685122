"""Local speech: VAD, recognizer, language model and synthesizer behind protocols."""
