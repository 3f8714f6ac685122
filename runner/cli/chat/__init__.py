"""The call as a chat in a terminal: a pure model, how it looks, and what draws it."""
