"""All checks, in the order of the report."""

from __future__ import annotations

from runner.doctor.watchdog import Check

_LOAD = 60.0  # seconds: engines of hundreds of megabytes, from a cold disk
_HASH = 300.0  # seconds: gigabytes, from a slow one
_OWN_CODE = 30.0  # seconds: what an agent's tools import is anybody's guess
_ONLINE = 30.0  # seconds: twice the limits that those checks set themselves
_HUNG = "unplug USB and Bluetooth sound, or restart the system's sound service"
LOOP = "loop"  # the check that makes a noise

CHECKS = (
    Check("python", "runner.doctor.packages:check_python"),
    Check("packages", "runner.doctor.packages:check_required", _LOAD),
    Check("extra-echo", "runner.doctor.packages:check_desk", _LOAD),
    Check("extra-local", "runner.doctor.packages:check_local", _LOAD),
    Check("extra-fast", "runner.doctor.packages:check_fast", _LOAD),
    Check("extra-otel", "runner.doctor.packages:check_otel", _LOAD),
    Check("portaudio", "runner.doctor.sound:check_portaudio", fix=_HUNG),
    Check("microphone", "runner.doctor.sound:check_microphone", fix=_HUNG),
    Check("speaker", "runner.doctor.sound:check_speaker", fix=_HUNG),
    Check(LOOP, "runner.doctor.sound:check_loop", 20.0, _HUNG),
    Check("models", "runner.doctor.models:check_models", _HASH),
    Check("memory", "runner.doctor.memory:check_memory"),
    Check("disk", "runner.doctor.memory:check_disk"),
    Check("key", "runner.doctor.keys:check_key"),
    Check("service", "runner.doctor.service:check_service"),
    Check("online", "runner.doctor.service:check_online", _ONLINE),
    Check("clock", "runner.doctor.clock:check_clock"),
    Check("clock-online", "runner.doctor.service:check_clock_online", _ONLINE),
    Check("proxy", "runner.doctor.proxies:check_proxy"),
    Check("ports", "runner.doctor.ports:check_ports"),
    Check("terminal", "runner.doctor.screen:check_screen"),
    Check("agent", "runner.doctor.agent:check_file"),
    Check("agent-tools", "runner.doctor.agent:check_tools", _OWN_CODE),
)
