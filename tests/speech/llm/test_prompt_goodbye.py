import pytest

from runner.speech.interfaces import UserMessage
from runner.speech.llm.prompt import allows_ending, is_goodbye, is_only_thanks


@pytest.mark.parametrize(
    "text",
    [
        "No thanks, goodbye.",
        "Goodbye!",
        "Bye-bye.",
        "Good bye.",
        "Great, thank you so much for your help. Bye!",
        "No, that's all, thank you.",
        "Thanks, that was everything. Have a nice day, bye.",
        "You can hang up now.",
    ],
)
def test_a_plain_goodbye_is_recognized(text: str) -> None:
    assert is_goodbye(text)


@pytest.mark.parametrize(
    "text",
    [
        "Hello.",
        "Thank you.",
        "How do I say goodbye in French?",
        "Tell her I said goodbye",
        "Before we say bye, what's the weather in Rome?",
        "Check order 1234 and then goodbye.",
        "Is that all?",
        "No thanks.",
    ],
)
def test_other_text_is_not_a_goodbye(text: str) -> None:
    assert not is_goodbye(text)


@pytest.mark.parametrize("text", ["No thanks.", "I'm all set.", "See you tomorrow."])
def test_the_model_may_end_the_call_on_words_of_leaving(text: str) -> None:
    assert allows_ending([UserMessage(text)])


@pytest.mark.parametrize("text", ["Hello.", "Where is my order?", "Thank you."])
def test_the_model_may_not_hang_up_on_anything_else(text: str) -> None:
    assert not allows_ending([UserMessage(text)])


def test_without_a_word_of_the_caller_nothing_ends() -> None:
    assert not allows_ending([])


@pytest.mark.parametrize(
    "text",
    [
        "I'm done, thank you",
        "ok thats all thanks",
        "No more questions",
        "Cheers, that was all",
    ],
)
def test_an_end_in_other_words_is_recognized(text: str) -> None:
    assert is_goodbye(text)


@pytest.mark.parametrize(
    "text",
    [
        "No, that is all wrong",
        "I'm done with the first order",
        "That was everything but fast",
        "Nothing else matters",
    ],
)
def test_words_of_an_end_within_a_sentence_are_not_one(text: str) -> None:
    assert not is_goodbye(text)


@pytest.mark.parametrize(
    ("text", "is_thanks"),
    [
        ("Many thanks for your help!", True),
        ("Thanks a lot", True),
        ("That is really kind of you, thank you", True),
        ("Thanks, what about my order?", False),
        ("Thank you, yes please", False),
    ],
)
def test_thanks_alone_are_recognized(text: str, is_thanks: bool) -> None:
    assert is_only_thanks(text) == is_thanks
