"""Audio: formats, framing, resampling, playback, files and the sound card."""
