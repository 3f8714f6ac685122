// Lists the hosted agents, each with a link to its page.

const list = document.querySelector("ul");
const status = document.querySelector("[role=status]");

try {
  const response = await fetch(new URL("v1/agents", import.meta.url));
  if (!response.ok) throw new Error(`HTTP status ${response.status}`);
  const { agents } = await response.json();
  for (const { agent_id: id, name } of agents) {
    const link = document.createElement("a");
    link.href = encodeURIComponent(id);
    link.textContent = name;
    const item = document.createElement("li");
    item.append(link);
    list.append(item);
  }
  if (agents.length === 0) status.textContent = "No agent is hosted here.";
} catch {
  status.textContent = "The list cannot be loaded. Please try again later.";
}
