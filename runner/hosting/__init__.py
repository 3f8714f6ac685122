"""Hosts agents for browsers and phones: `app` is the ASGI application."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from runner.hosting.asgi import HostingApp


def app(
    agents: Sequence[str | Path],
    *,
    service: str | None = None,
    variables: Mapping[str, str] | None = None,
    origins: Sequence[str] = (),
    calls: int | None = None,
) -> HostingApp:
    """Returns an ASGI application that hosts these agent files.

    `service` is assemblyai, local or a URL, as for `vagent run`; `origins` are the web
    pages that may call, in addition to pages of this machine; `calls` limits the calls
    at once. Mount it into another application together with its `lifespan`.

    Raises:
        UsageError: an origin is not one.
    """
    import os
    from pathlib import Path

    from runner.hosting.build import HostingOptions, build_app
    from runner.hosting.limits import Limits

    options = HostingOptions(
        tuple(Path(each) for each in agents),
        service=service,
        variables=variables or {},
        origins=tuple(origins),
        limits=Limits(calls=calls),
    )
    return build_app(options, os.environ)


__all__ = ["app"]
