"""The values of a loaded agent that nobody may see."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from runner.config.credentials import SECRET_NAME, find_credentials

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runner.config.model import AgentConfig

# Headers that are keys whatever their value looks like, beside those that say so.
_SECRET_HEADERS = frozenset({"cookie", "proxy-authorization"})
_SCHEME = re.compile(r"\s*(?:Bearer|Basic|Token|ApiKey|Key)\s+", re.IGNORECASE)


def agent_secrets(agent: AgentConfig) -> frozenset[str]:
    """Return what came from the environment, keys, and what telling headers hold."""
    found = {*agent.secrets, *_in_headers(agent), *credentials_in(agent.prompt)}
    if agent.local.llm.key:
        found.add(agent.local.llm.key)
    return frozenset(found)


def credentials_in(text: str) -> Iterator[str]:
    """Yield what has the published format of a key."""
    for each in find_credentials(text):
        yield text[each.span.start : each.span.end]


def _in_headers(agent: AgentConfig) -> Iterator[str]:
    for tool in agent.tools:
        settings = tool.settings if isinstance(tool.settings, dict) else {}
        headers = settings.get("headers")
        for name, value in (headers if isinstance(headers, dict) else {}).items():
            if name.lower() in _SECRET_HEADERS or re.search(SECRET_NAME, name):
                yield str(value)
                yield _SCHEME.sub("", str(value), count=1)
