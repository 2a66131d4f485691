"""``/v1/responses`` as events: all of them, in order, and none missing at the end."""

from __future__ import annotations

import msgspec
import pytest

from headrace import ChatMessage
from headrace_server.endpoints.responses.store import Store
from headrace_server.errors import ApiError
from headrace_server.wire import response_events as events
from headrace_server.wire.responses import Response
from tests.server import asking
from tests.server.asking import named_events
from tests.server.test_responses import ADD, CALLING

EVENTS = (
    events.Created
    | events.InProgress
    | events.Completed
    | events.Incomplete
    | events.Failed
    | events.ItemAdded
    | events.ItemDone
    | events.PartAdded
    | events.PartDone
    | events.TextDelta
    | events.TextDone
    | events.ReasoningDelta
    | events.ReasoningDone
    | events.ArgumentsDelta
    | events.ArgumentsDone
    | events.ErrorEvent
)


def streamed(client, **body):
    """The events of a response, each read as its struct and named as its type."""
    found = named_events(client.post("/v1/responses", json={"stream": True, **body}), EVENTS)
    assert [each.sequence_number for each in found] == list(range(len(found)))
    return found


def kinds(found):
    """Their types, without ``response.``."""
    return asking.kinds(found, "response.")


@pytest.fixture
def calling(serve):
    """The events of an answer with thoughts, text and two calls."""
    with serve(CALLING).client() as client:
        return streamed(client, input="1?", tools=[ADD])


def test_every_step_is_an_event(calling):
    """From the first to the last; each item begins and ends."""
    call = [
        "output_item.added",
        "function_call_arguments.delta",
        "function_call_arguments.done",
        "output_item.done",
    ]
    assert kinds(calling) == [
        "created",
        "in_progress",
        *("output_item.added", "content_part.added", "reasoning_text.delta"),
        *("reasoning_text.done", "content_part.done", "output_item.done"),
        *("output_item.added", "content_part.added", "output_text.delta"),
        *("output_text.done", "content_part.done", "output_item.done"),
        *call,
        *call,
        "completed",
    ]


def test_deltas_add_up_to_what_is_done(calling):
    """For each item, and the items to the response's output."""
    final = calling[-1].response
    for at, item in enumerate(final.output):
        inside = [e for e in calling if getattr(e, "output_index", None) == at]
        assert {e.item_id for e in inside if hasattr(e, "item_id")} == {item.id}
        (added,) = (e for e in inside if isinstance(e, events.ItemAdded))
        (done,) = (e for e in inside if isinstance(e, events.ItemDone))
        assert (added.item.status, added.item.id) == ("in_progress", item.id)
        assert done.item == item
        text = "".join(e.delta for e in inside if hasattr(e, "delta"))
        whole = item.arguments if item.id.startswith("fc_") else item.content[0].text
        assert text == whole
    assert [item.id.split("_")[0] for item in final.output] == ["rs", "msg", "fc", "fc"]


def test_a_response_is_told_as_it_stands(calling):
    """Empty at first, with usage at the end; its id and settings stay."""
    first, second, last = calling[0].response, calling[1].response, calling[-1].response
    assert first == second
    assert (first.status, first.output, first.usage) == ("in_progress", [], None)
    assert (last.status, last.id) == ("completed", first.id)
    assert last.usage.output_tokens > 0


def test_it_is_what_comes_without_a_stream(serve):
    """But for ids, times and what is in memory."""
    with serve(CALLING).client() as client:
        whole = client.post("/v1/responses", json={"input": "1?", "tools": [ADD]}).json()
        last = streamed(client, input="1?", tools=[ADD])[-1].response
    assert isinstance(last, Response)
    passing = {"id", "created_at", "completed_at", "usage"}
    told = msgspec.to_builtins(last)
    for values in (whole, told):
        for item in values["output"]:
            item.pop("id")
    assert {k: v for k, v in told.items() if k not in passing} == {
        k: v for k, v in whole.items() if k not in passing
    }


def test_a_stream_that_is_cut_ends_incomplete(serve):
    """With the item that was open told as incomplete."""
    with serve("fake:By water.").client() as client:
        found = streamed(client, input="?", max_output_tokens=4)
    assert kinds(found)[-2:] == ["output_item.done", "incomplete"]
    assert found[-2].item.status == "incomplete"
    assert found[-1].response.incomplete_details == {"reason": "max_output_tokens"}


def test_an_answer_without_text_has_no_items(serve):
    """The model may end at once."""
    with serve("fake:#mean_length=0").client() as client:
        found = streamed(client, input="?", max_output_tokens=1, temperature=0)
    assert kinds(found)[:2] == ["created", "in_progress"]
    assert kinds(found)[-1] in ("completed", "incomplete")


def test_an_error_after_the_headers_is_an_event(serve):
    """The error, and the response as failed, with what was written."""
    server = serve("fake:By water.#fault_at=5&fault=poisoned")
    with server.client() as client:
        found = streamed(client, input="?")
    assert kinds(found)[-3:] == ["output_item.done", "error", "failed"]
    error, failed = found[-2], found[-1].response
    assert error.code == "decode_failed"
    assert error.message
    assert failed.status == "failed"
    assert failed.error["code"] == "server_error"
    assert failed.error["message"] == error.message
    assert "By water.".startswith(failed.output[0].content[0].text)


def test_an_error_before_the_headers_is_a_status(serve):
    """No event at all."""
    with serve("fake:By water.#fault_at=1&fault=poisoned").client() as client:
        answer = client.post("/v1/responses", json={"input": "?", "stream": True})
    assert answer.status_code == 500
    assert answer.json()["error"]["code"] == "decode_failed"


def test_a_streamed_response_is_kept(serve):
    """The next request goes on from it."""
    with serve("fake:By water.").client() as client:
        first = streamed(client, input="?")[-1].response
        second = streamed(client, input="?", previous_response_id=first.id)[-1].response
    assert second.previous_response_id == first.id
    assert second.usage.input_tokens > first.usage.input_tokens


# -- what is kept -----------------------------------------------------------


def a_response():
    """A response that nobody has asked for."""
    return Response(model="fake", temperature=1.0, top_p=1.0)


def test_the_oldest_leave_first():
    """By number and by characters; one that is larger than all room is not kept."""
    store = Store(most=2, most_characters=10)
    one, two, three, four = (a_response() for _ in range(4))
    hello = [ChatMessage(role="user", content="Hello")]
    store.keep(None, one, hello)
    store.keep(None, two, hello)
    assert store.find(None, one.id, "here").response is one
    store.keep(None, three, [])
    with pytest.raises(ApiError, match="is not kept here"):
        store.find(None, one.id, "here")
    store.keep(None, four, [ChatMessage(role="user", content="x" * 11)])
    assert len(store) == 0


def test_whoever_has_another_key_does_not_find_it():
    """Nor can they delete it."""
    store = Store()
    mine = a_response()
    store.keep("ann", mine, [])
    for act in (store.find, store.forget):
        arguments = ("here",) if act == store.find else ()
        with pytest.raises(ApiError, match="is not kept here"):
            act("bob", mine.id, *arguments)
    assert store.find("ann", mine.id, "here").response is mine
