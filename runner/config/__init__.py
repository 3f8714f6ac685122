"""Agent files: text to a checked, frozen `AgentConfig`, or all findings."""
