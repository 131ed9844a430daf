"""Which letters an order has: its queue, whose head is undecided, and beside it those that came too early and wait."""

from msgspec.structs import replace

from app.delivery.draft import Draft
from models.errors import EventError
from models.events import Event
from models.letters import HeldOrder, Letter
from models.order import order_key


def order_key_of(named: Event | EventError | Letter) -> str | None:
    """Return the key of the order that something names, None if it does not."""
    if named.customer_id is None or named.order_id is None:
        return None
    return order_key(named.customer_id, named.order_id)


def place(draft: Draft, name: str, letter: Letter, now: float) -> None:
    """Put a letter's row, and the letter where its state belongs: into its order's queue, beside it, or nowhere."""
    key = order_key_of(letter)
    before = draft.letter(name)
    if before is not None and (order_key_of(before) != key or not (letter.undecided or letter.state == "parked")):
        keep_waiting = letter.state == "waiting" and order_key_of(before) == key
        leave(draft, name, keep_waiting=keep_waiting)
    if key is not None:
        held = draft.held_order(key)
        if letter.state == "waiting":
            if name not in held.waiting:
                draft.held[key] = replace(held, waiting=(*held.waiting, name))
        elif letter.undecided or letter.state == "parked":
            waiting = tuple(each for each in held.waiting if each != name)
            if not held.queue or held.queue[0] == name:
                draft.held[key] = HeldOrder(held.queue or (name,), waiting, letter.state == "parked")
            else:
                queue = held.queue if name in held.queue else (*held.queue, name)
                draft.held[key] = replace(held, queue=queue, waiting=waiting)
                if letter.state != "parked":
                    head = held.queue[0]
                    text = f"behind letter {head} of the same order"
                    letter = letter.noted(now, "parked", detail=head, state="parked", due_at=None, error=text)
    draft.letters[name] = letter


def leave(draft: Draft, name: str, *, keep_waiting: bool = False) -> None:
    """Remove a letter from its order's queue and from those that wait; with its head gone a queue follows."""
    letter = draft.letter(name)
    key = None if letter is None else order_key_of(letter)
    if key is None:
        return
    held = draft.held_order(key)
    following = held.queue[0] == name or held.following if held.queue else False
    queue = tuple(each for each in held.queue if each != name)
    waiting = held.waiting if keep_waiting else tuple(each for each in held.waiting if each != name)
    draft.held[key] = HeldOrder(queue, waiting, following and bool(queue))
