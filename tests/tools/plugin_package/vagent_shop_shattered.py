"""A module that cannot be imported, as plugins after an upgrade sometimes cannot."""

raise RuntimeError("needs a newer shop")
