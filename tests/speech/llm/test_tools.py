import pytest

from runner.speech.llm.tools import read_tool_spec, read_tool_specs


def test_a_tool_may_have_no_parameters() -> None:
    assert read_tool_spec({"name": "ping"}).parameters == ()


def test_required_and_optional_parameters_are_distinguished() -> None:
    tool = read_tool_spec(
        {
            "name": "t",
            "parameters": {"properties": {"a": {}, "b": {}}, "required": ["b"]},
        }
    )
    assert [parameter.name for parameter in tool.required] == ["b"]


@pytest.mark.parametrize(
    "broken",
    [
        {"name": "t", "parameters": None},
        {"name": "t", "parameters": {"properties": [], "required": "a"}},
        {"name": "t", "parameters": {"properties": {"a": True}}, "description": 7},
    ],
)
def test_invalid_parts_of_a_schema_are_ignored(broken: dict[str, object]) -> None:
    assert read_tool_spec(broken).name == "t"


def test_a_tool_without_a_name_is_left_out() -> None:
    assert read_tool_specs([{"description": "x"}, {"name": ""}, {"name": "t"}])[0].name


@pytest.mark.parametrize(
    ("name", "description"),
    [
        ("end_call", ""),
        ("hang_up", "Done."),
        ("end_conversation", ""),
        ("finish", "Ends the call."),
        ("bye", "Hang up after saying goodbye, when the caller is done."),
        ("leave", "End the phone call, after a goodbye."),
    ],
)
def test_a_tool_that_ends_the_call_is_recognized(name: str, description: str) -> None:
    assert read_tool_spec({"name": name, "description": description}).ends_call


@pytest.mark.parametrize(
    ("name", "description"),
    [
        ("get_weather", "Get the weather."),
        ("transfer_call", "Transfer the call to a colleague."),
        ("call_back", "Arrange a call at the end of the day."),
        ("close_account", "Close an account."),
    ],
)
def test_other_tools_do_not_end_the_call(name: str, description: str) -> None:
    assert not read_tool_spec({"name": name, "description": description}).ends_call


def test_a_tool_with_a_required_argument_does_not_end_the_call() -> None:
    tool = {
        "name": "end_call",
        "parameters": {"required": ["x"], "properties": {"x": {}}},
    }
    assert not read_tool_spec(tool).ends_call
