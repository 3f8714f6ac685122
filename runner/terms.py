"""On what terms a call is held: what an agent file asks of its session."""

from __future__ import annotations

from runner.config.model import AgentConfig
from runner.config.wire import session_fields
from runner.engine.services import Service
from runner.engine.toolset import ToolsetVersion
from runner.protocol.client.config import ClientConfig, IdlePolicy, Timeouts

# The embedded server answers when its voice is loaded: a second or two on a fast
# machine, many more on a cold disk; and a large model on a small one thinks for long.
LOCAL_PATIENCE = Timeouts(ready=60.0, sound=45.0)


def build_client_config(
    agent: AgentConfig,
    tools: ToolsetVersion,
    service: Service,
    max_duration: float | None,
) -> ClientConfig:
    """Return what the session of a call with this agent is made of."""
    limits = [
        limit
        for limit in (max_duration, agent.session.max_duration)
        if limit is not None
    ]
    idle, carry_over = agent.session.idle, agent.session.carry_over
    return ClientConfig(
        session=session_fields(agent, tools.registry.wire_definitions()),
        tools=tools.rules,
        immediate_results=agent.session.tool_results == "immediate",
        max_duration=min(limits, default=None),
        one_minute_left=agent.session.one_minute_left,
        idle=IdlePolicy(idle.nudge_after, idle.say, idle.end_after),
        carry_over=service.is_local if carry_over is None else carry_over,
        patience=LOCAL_PATIENCE if service.is_local else Timeouts(),
        # Its own server's replies are never silent for long, and it takes reply.create.
        announce_by="reply" if service.url is None else "either",
    )
