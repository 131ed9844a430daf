"""The shapes of what the API takes and answers, as JSON Schema (2020-12). What they list comes from the code itself.

Which address takes and answers what is not here, but in `openapi`.
"""

from collections.abc import Iterable, Mapping
from typing import Any, get_args

from app.delivery.actions import MOST_BY
from app.engine.lane import LaneState
from app.health import Level
from app.views import MAX_ID
from app.web.deeds import MOST as MOST_LETTERS
from app.web.parameters import TIME
from app.web.reading.lists import DEFAULT_SORTS
from app.web.reading.ranking import SORTS
from app.web.reading.revenue import STEPS
from models.events import EventType
from models.letters import CAUSES, HISTORY, STATES
from models.letters import Deed as DoneDeed
from models.money import CURRENCIES
from models.order import MAX_EVENTS, Status

Schema = dict[str, Any]

# --- how shapes are made ----------------------------------------------------------------------------------------------


def record(fields: Mapping[str, Schema], optional: Iterable[str] = ()) -> Schema:
    """Return the shape of an object that has these fields, all but the optional ones, and no others."""
    required = [name for name in fields if name not in set(optional)]
    return {"type": "object", "properties": dict(fields), "required": required, "additionalProperties": False}


def named(name: str) -> Schema:
    """Return a reference to one of `SCHEMAS`."""
    return {"$ref": f"#/components/schemas/{name}"}


def _list(items: Schema, **bounds: int) -> Schema:
    return {"type": "array", "items": items, **bounds}


def _by(names: Iterable[str], values: Schema) -> Schema:
    """Return the shape of an object that has some of these names."""
    return {"type": "object", "propertyNames": {"enum": list(names)}, "additionalProperties": values}


def _one_of(values: Iterable[str]) -> Schema:
    return {"type": "string", "enum": list(values)}


def _some_of(values: Iterable[str]) -> Schema:
    """Return the shape of a parameter that takes several of these values, with commas between them; "": all."""
    value = f"(?:{'|'.join(values)})"
    return {"type": "string", "pattern": f"^(?:{value}(?:,{value})*)?$"}


def _or_null(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


# --- values -----------------------------------------------------------------------------------------------------------

TEXT: Schema = {"type": "string"}
YES_OR_NO: Schema = {"type": "boolean"}
NUMBER: Schema = {"type": "number"}
COUNT: Schema = {"type": "integer", "minimum": 0}
MOMENT: Schema = {"type": "string", "format": "date-time", "pattern": "Z$"}
ID: Schema = {"type": "string", "minLength": 1, "maxLength": MAX_ID, "pattern": r"^[^\x00-\x1f\x7f]*$"}
_LETTER = "[0-9]{1,9}-[0-9]{1,18}"
LETTER_ID: Schema = {"type": "string", "pattern": f"^{_LETTER}$"}
CURRENCY = _one_of(CURRENCIES)
EVENT_TYPE = _one_of(get_args(EventType))

_DECIMALS = {decimals for decimals in CURRENCIES.values() if decimals}
_AMOUNT = f"(?:0|[1-9][0-9]*)(?:[.][0-9]{{{min(_DECIMALS)},{max(_DECIMALS)}}})?"
AMOUNT: Schema = {"type": "string", "pattern": f"^{_AMOUNT}$"}
SIGNED_AMOUNT: Schema = {"type": "string", "pattern": f"^-?{_AMOUNT}$"}

# --- what parameters take ---------------------------------------------------------------------------------------------

TIME_GIVEN: Schema = {"type": "string", "pattern": f"^(?:{TIME.pattern})$"}
STEP: Schema = {**_one_of(STEPS), "default": "1m"}
STATES_GIVEN = _some_of(STATES)
CAUSES_GIVEN = _some_of(CAUSES)
LETTER_GIVEN: Schema = {"type": "string", "pattern": f"^(?:{_LETTER})?$"}


def limit(default: int, most: int) -> Schema:
    """Return the shape of how many are asked for."""
    return {"type": "integer", "minimum": 1, "maximum": most, "default": default}


def sort(table: str) -> Schema:
    """Return the shape of what the rows of a table can be sorted by, as `read_sort` reads it."""
    plain = "|".join(name for name, key in SORTS[table].items() if not key.of_currency)
    money = "|".join(name for name, key in SORTS[table].items() if key.of_currency)
    names = f"{plain}|(?:{money}):(?:{'|'.join(CURRENCIES)})"
    return {"type": "string", "pattern": f"^(?:-?(?:{names}))?$", "default": DEFAULT_SORTS[table]}


def asked(*, mends: bool) -> Schema:
    """Return the shape of the body that asks for a deed; only what is redriven can be mended."""
    changes = {"maxItems": 0} if not mends else {"description": "fields and their new values, as in total_amount=12.00"}
    return record(
        {
            "ids": _list(LETTER_ID, minItems=1, maxItems=MOST_LETTERS),
            "by": {
                "type": "string",
                "maxLength": MOST_BY,
                "default": "api",
                "description": "who asks, for the history",
            },
            "set": {**_list({"type": "string", "pattern": "^[^=]+="}), **changes},
        },
        optional=("by", "set"),
    )


# --- what is answered -------------------------------------------------------------------------------------------------


def fault(*codes: str) -> Schema:
    """Return the shape of an error with one of these codes."""
    return record({"error": record({"code": _one_of(codes), "message": TEXT})})


def page(name: str, rows: Schema) -> Schema:
    """Return the shape of a page of a list; `next` names the page that follows, null: none does."""
    return record({name: _list(rows), "next": _or_null(TEXT)})


_OF_CUSTOMER = record({"gross": AMOUNT, "refunded": AMOUNT, "net": AMOUNT})

_BYTES = _or_null(
    {"oneOf": [record({"text": TEXT}), record({"hex": {"type": "string", "pattern": "^(?:[0-9a-f]{2})*$"}})]}
)

_LETTER_FIELDS: Mapping[str, Schema] = {
    "id": LETTER_ID,
    "cause": _one_of(CAUSES),
    "state": _one_of(STATES),
    "event_type": _or_null(TEXT),
    "order_id": _or_null(ID),
    "customer_id": _or_null(ID),
    "error": TEXT,
    "attempts": COUNT,
    "redrives": COUNT,
    "first_failed_at": MOMENT,
    "last_failed_at": MOMENT,
}

SCHEMAS: Mapping[str, Schema] = {
    "Order": record(
        {
            "order_id": ID,
            "customer_id": ID,
            "status": _one_of(get_args(Status)),
            "currency": CURRENCY,
            "total_amount": AMOUNT,
            "refunded_amount": AMOUNT,
            "item_count": COUNT,
            "average_item_price": AMOUNT,
            "created_at": MOMENT,
            "updated_at": MOMENT,
            "items": _list(record({"sku": ID, "qty": COUNT, "price": AMOUNT}), minItems=1),
            "events": _list(
                record({"event_id": ID, "event_type": EVENT_TYPE, "timestamp": MOMENT}), minItems=1, maxItems=MAX_EVENTS
            ),
        }
    ),
    "Customer": record(
        {
            "customer_id": ID,
            "order_count": COUNT,
            "open_orders": COUNT,
            "first_order_at": _or_null(MOMENT),
            "last_order_at": _or_null(MOMENT),
            "money": _by(CURRENCIES, _OF_CUSTOMER),
        }
    ),
    "Product": record(
        {
            "sku": ID,
            "orders": COUNT,
            "units_sold": COUNT,
            "units_cancelled": COUNT,
            "money": _by(CURRENCIES, record({"revenue": AMOUNT})),
        }
    ),
    "Revenue": record(
        {
            "currency": CURRENCY,
            "from": _or_null(MOMENT),
            "to": _or_null(MOMENT),
            "step": _one_of(STEPS),
            "buckets": _list(
                record(
                    {"start": MOMENT, "orders": COUNT, "gross": AMOUNT, "refunded": AMOUNT, "net": SIGNED_AMOUNT},
                )
            ),
        }
    ),
    "Letter": record(_LETTER_FIELDS),
    "WholeLetter": record(
        {
            **_LETTER_FIELDS,
            "event_id": _or_null(ID),
            "due_at": _or_null(MOMENT),
            "record": record(
                {
                    "key": _BYTES,
                    "value": _BYTES,
                    "headers": _list(_list({"anyOf": [TEXT, _BYTES]}, minItems=2, maxItems=2)),
                    "timestamp": {"anyOf": [MOMENT, {"type": "integer"}]},
                }
            ),
            "mended": _BYTES,
            "stack": _or_null(TEXT),
            "history": _list(
                record({"at": MOMENT, "deed": _one_of(get_args(DoneDeed)), "by": TEXT, "detail": TEXT}),
                maxItems=HISTORY,
            ),
        }
    ),
    "LetterFigures": record(
        {
            "open": COUNT,
            "states": _by(STATES, COUNT),
            "causes": _by(CAUSES, COUNT),
            "oldest_open_seconds": _or_null({"type": "number", "minimum": 0}),
            "last_minute": COUNT,
            "last_hour": COUNT,
        }
    ),
    "Health": record(
        {
            "level": _one_of(level.word for level in Level),
            "checks": _list(
                record(
                    {
                        "name": TEXT,
                        "level": _one_of(level.word for level in Level),
                        "value": _or_null(NUMBER),
                        "warning": _or_null(NUMBER),
                        "critical": _or_null(NUMBER),
                        "text": TEXT,
                    }
                )
            ),
        }
    ),
    "Partition": record(
        {
            "partition": COUNT,
            "owner": _or_null(TEXT),
            "state": _one_of([*LaneState, "unknown", "unowned"]),
            "next_offset": _or_null(COUNT),
            "end_offset": _or_null(COUNT),
            "lag": _or_null(COUNT),
            "lag_seconds": _or_null({"type": "number", "minimum": 0}),
            "rows": _or_null(COUNT),
            "loaded": _or_null(COUNT),
            "to_load": _or_null(COUNT),
            "backlog": _or_null(_list(COUNT, minItems=2, maxItems=2)),
        }
    ),
    "Status": record(
        {
            "app_id": TEXT,
            "version": TEXT,
            "broker": TEXT,
            "ready": YES_OR_NO,
            "workers": _list(record({"url": TEXT, "partitions": _list(COUNT), "silent": _or_null(TEXT)}), minItems=1),
            "partitions": _list(named("Partition"), minItems=1),
            "lag": _or_null(COUNT),
            "outcomes": record(
                {
                    **dict.fromkeys(("accepted", "duplicate", "forwarded"), COUNT),
                    "dead_letters": _by(CAUSES, COUNT),
                }
            ),
            "letters": _or_null(named("LetterFigures")),
            "complete": YES_OR_NO,
            "missing": _list(record({"partition": COUNT, "reason": TEXT})),
            "health": named("Health"),
        }
    ),
}
"""What answers are made of, by name."""
