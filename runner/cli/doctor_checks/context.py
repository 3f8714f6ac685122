"""The agent and the service that the checks are about."""

from __future__ import annotations

from runner.cli.doctor_checks.model import DoctorOptions
from runner.config.loader import load_agent
from runner.config.model import AgentConfig, LocalConfig
from runner.engine.services import Service, choose_service
from runner.errors import VagentError
from runner.tools.plugins import installed_kinds


def agent_of(options: DoctorOptions) -> AgentConfig | None:
    """Returns the agent, without loading its tools.

    None if no file is given or if the file has errors, which another check reports.
    """
    if options.agent is None:
        return None
    kinds = {key: kind.schema for key, kind in installed_kinds().items()}
    try:
        return load_agent(
            options.agent,
            environment=options.effective_environment(),
            variables=options.variables,
            kinds=kinds,
        )
    except VagentError:
        return None


def local_of(options: DoctorOptions) -> LocalConfig:
    """Returns the configuration of the local service."""
    agent = agent_of(options)
    return LocalConfig() if agent is None else agent.local


def chosen_service(options: DoctorOptions) -> Service:
    """Returns the service that a run would use; raises like `choose_service`."""
    agent = agent_of(options)
    url = None if agent is None else agent.service_url
    return choose_service(options.service, url, options.effective_environment())


def service_of(options: DoctorOptions) -> Service | None:
    """Returns the service that a run would use; None if the run would not start."""
    try:
        return chosen_service(options)
    except VagentError:
        return None


def uses_local_service(options: DoctorOptions) -> bool:
    """Returns True if a run would start the local service, or would not start."""
    service = service_of(options)
    return service is None or service.url is None
