"""All checks, in the order of the report."""

from __future__ import annotations

from runner.doctor import (
    agent,
    clock,
    keys,
    memory,
    models,
    packages,
    ports,
    proxies,
    screen,
    service,
    sound,
)
from runner.doctor.watchdog import Check

_LOAD = 60.0  # seconds: engines of hundreds of megabytes, from a cold disk
_HASH = 300.0  # seconds: gigabytes, from a slow one
_OWN_CODE = 30.0  # seconds: what an agent's tools import is anybody's guess
_SLACK = 15.0  # seconds, for what the service's own limits do not cover: names, TLS
LOOP = "loop"  # the check that makes a noise

CHECKS = (
    Check("python", packages.check_python),
    Check("packages", packages.check_required, _LOAD),
    Check("extra-desk", packages.check_desk, _LOAD),
    Check("extra-local", packages.check_local, _LOAD),
    Check("extra-fast", packages.check_fast, _LOAD),
    Check("extra-otel", packages.check_otel, _LOAD),
    Check("portaudio", sound.check_portaudio, fix=sound.HUNG),
    Check("microphone", sound.check_microphone, fix=sound.HUNG),
    Check("speaker", sound.check_speaker, fix=sound.HUNG),
    Check(LOOP, sound.check_loop, 20.0, sound.HUNG),
    Check("models", models.check_models, _HASH),
    Check("memory", memory.check_memory),
    Check("disk", memory.check_disk),
    Check("key", keys.check_key),
    Check("service", service.check_service),
    Check("online", service.check_online, service.ONLINE_SECONDS + _SLACK),
    Check("clock", clock.check_clock),
    Check("clock-online", service.check_clock_online, _SLACK),
    Check("proxy", proxies.check_proxy),
    Check("ports", ports.check_ports),
    Check("terminal", screen.check_screen),
    Check("agent", agent.check_file),
    Check("agent-tools", agent.check_tools, _OWN_CODE),
)
