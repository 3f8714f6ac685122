"""Takes out of a model's text what cannot be spoken."""

from __future__ import annotations

_OPEN, _CLOSE = "<think>", "</think>"
_SILENT = str.maketrans("", "", "*`#|")


class MarkupFilter:
    """Removes markdown's signs and a reasoning model's thoughts, piece by piece."""

    def __init__(self) -> None:
        self._held = ""
        self._is_thinking = False

    def feed(self, piece: str) -> str:
        """Take the next piece; return what can be spoken of what is there."""
        self._held += piece
        spoken = []
        while True:
            mark = _CLOSE if self._is_thinking else _OPEN
            before, found, rest = self._held.partition(mark)
            if not found:
                break
            if not self._is_thinking:
                spoken.append(before)
            self._held = rest
            self._is_thinking = not self._is_thinking
        keep = _begun(self._held, mark)
        if not self._is_thinking:
            spoken.append(self._held[: len(self._held) - keep])
        self._held = self._held[len(self._held) - keep :]
        return "".join(spoken).translate(_SILENT)

    def finish(self) -> str:
        """Return what was held back; the text is over."""
        rest, self._held = self._held, ""
        return "" if self._is_thinking else rest.translate(_SILENT)


def _begun(text: str, mark: str) -> int:
    """Return how many characters at the end of `text` may be the mark's beginning."""
    for length in range(min(len(text), len(mark) - 1), 0, -1):
        if mark.startswith(text[-length:]):
            return length
    return 0
