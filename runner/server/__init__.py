"""The embedded server: the same wire from the other end."""
