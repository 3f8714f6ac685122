"""Local speech: ears, a mind and a voice behind small protocols."""
