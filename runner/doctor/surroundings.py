"""What an agent file and the environment decide together: which service is meant."""

from __future__ import annotations

from runner.config.loader import load_agent
from runner.config.model import AgentConfig, LocalConfig
from runner.doctor.wishes import Wishes
from runner.errors import VagentError
from runner.services import Service, choose_service
from runner.tools.plugin import installed_kinds


def agent_of(wishes: Wishes) -> AgentConfig | None:
    """Return the agent that is asked about, without loading its tools.

    None where there is none, and where a run would refuse it, which is told elsewhere.
    """
    if wishes.agent is None:
        return None
    kinds = {key: kind.schema for key, kind in installed_kinds().items()}
    try:
        return load_agent(
            wishes.agent,
            environment=wishes.effective_environment(),
            variables=wishes.variables,
            kinds=kinds,
        )
    except VagentError:
        return None


def local_of(wishes: Wishes) -> LocalConfig:
    """Return what the embedded server would be told."""
    agent = agent_of(wishes)
    return LocalConfig() if agent is None else agent.local


def service_of(wishes: Wishes) -> Service | None:
    """Return the service that a run would use; None where it would refuse to start."""
    try:
        return chosen_service(wishes)
    except VagentError:
        return None


def chosen_service(wishes: Wishes) -> Service:
    """Return the service that a run would use; raises like `choose_service`."""
    agent = agent_of(wishes)
    url = None if agent is None else agent.service_url
    return choose_service(wishes.service, url, wishes.effective_environment())
