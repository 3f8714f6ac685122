"""Recordings of calls on disk: format, writer, reader, audio tracks and redaction."""
