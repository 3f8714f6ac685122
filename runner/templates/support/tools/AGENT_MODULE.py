"""The tools of the AGENT_NAME agent: put your own systems where the tables are."""

from __future__ import annotations

from typing import Annotated, Any

# Order number: what is told about it.
ORDERS = {
    "1234": {"item": "espresso machine", "status": "shipped", "arrives": "Thursday"},
    "5678": {"item": "coffee grinder", "status": "being packed", "arrives": "Friday"},
}

# Phone numbers to be called back; a real agent keeps them where people look.
callbacks: list[str] = []


def lookup_order(
    order_id: Annotated[str, {"pattern": "[0-9]{4}", "examples": ["1234", "5678"]}],
) -> dict[str, Any]:
    """Look up the state of an order by its number.

    Args:
        order_id: The number of the order, four digits.
    """
    order = ORDERS.get(order_id)
    if order is None:
        return {"found": False, "order_id": order_id}
    return {"found": True, "order_id": order_id, **order}


def request_callback(
    phone: Annotated[
        str, {"pattern": r"\+?[0-9]{6,15}", "examples": ["+12025550123", "2025550123"]}
    ],
) -> dict[str, Any]:
    """Have a colleague call back. Only after the caller has confirmed the number.

    Args:
        phone: The number to call, digits only.
    """
    if phone not in callbacks:
        callbacks.append(phone)
    return {"noted": True, "phone": phone}
