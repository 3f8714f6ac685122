"""The key of the service: whether there is one, from where, and whether it is whole."""

from __future__ import annotations

import re
from collections.abc import Iterator

from runner.config.environment import load_environment
from runner.doctor.findings import Finding, failed, passed, skipped
from runner.doctor.platforms import Platform, this_platform
from runner.doctor.surroundings import chosen_service
from runner.doctor.wishes import Wishes
from runner.errors import AuthenticationRejected, FileUnreadable, UsageError
from runner.services import ASSEMBLYAI_KEY, OTHER_KEY

# What AssemblyAI hands out today. Another shape may be right one day, so it is only
# remarked on.
_USUAL = re.compile("[0-9a-f]{32}")
# In the examples of manuals.
_STAND_IN = re.compile(r"(?i)your|example|<.*>|\.\.\.|x{6,}|\*{3,}|change.?me|api.?key")


def check_key(wishes: Wishes) -> Iterator[Finding]:
    """Look at the key that a run would send; it is never shown."""
    platform = this_platform()
    dotenv = wishes.folder / ".env"
    try:
        environment = load_environment(wishes.folder, wishes.environment)
        beside = load_environment(wishes.folder, {})
    except FileUnreadable as error:
        yield failed("key", error.message, error.hint)
        return
    try:
        service = chosen_service(wishes)
    except AuthenticationRejected as error:
        fix = platform.set_variable(ASSEMBLYAI_KEY, "YOUR-KEY")
        yield failed("key", error.message, f"{fix}, or a line in {dotenv}")
        return
    except UsageError:  # the service's own line tells
        yield skipped("key", "no service to send it to")
        return
    is_ours = service.key is None or service.key == environment.get(ASSEMBLYAI_KEY)
    name = ASSEMBLYAI_KEY if is_ours else OTHER_KEY
    value = environment.get(name)
    if not value:
        detail = f"{ASSEMBLYAI_KEY} is not set, and {service.name} needs none"
        yield skipped("key", detail)
        return
    place = f"from {dotenv}" if name not in wishes.environment else "from the shell"
    if name in wishes.environment and beside.get(name, value) != value:
        place += f"; {dotenv} has another one, which does not count"
    yield judge_key(name, value, place, platform)


def judge_key(name: str, value: str, place: str, platform: Platform) -> Finding:
    """Judge the shape of a key; neither it nor a part of it is in the finding."""
    if problem := _problem(value):
        fix = platform.set_variable(name, "YOUR-KEY")
        return failed("key", f"{name} {place} {problem}", fix)
    if name == ASSEMBLYAI_KEY and not _USUAL.fullmatch(value):
        place += "; not the usual 32 hexadecimal digits: is it whole?"
    return passed("key", f"{name} is set, {place}")


def _problem(value: str) -> str | None:
    if value != value.strip():
        return "has spaces or line ends around it"
    if value[0] in "'\"" or value[-1] in "'\"":
        return "has quotes around it"
    if value.lower().startswith(("bearer ", "authorization")):
        return "is a header, not a key: leave the first word out"
    if not value.isascii() or any(not each.isprintable() for each in value):
        return "has characters that no key has"
    if " " in value:
        return "has a space in it"
    if _STAND_IN.search(value):
        return "is the stand-in of a manual, not a key"
    return None
