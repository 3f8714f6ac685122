"""The checks of `vagent doctor`."""
