"""What schemathesis has to know about the specs and the mock servers that OpenAPI cannot say.

`scripts/schemathesis` loads this file. Its check takes the place of `positive_data_acceptance`: a request that the spec allows
must be accepted, unless a rule refuses it that OpenAPI cannot express. Each such rule is in `RULES`, by vendor, as the reason
that the mock server gives, or is an extension of the spec (`x-exclusive`, `x-span`). Any other reason is a finding.
"""

import atexit
import datetime
import json
import re

import schemathesis
from hypothesis import strategies

# A time without an offset, as `openapi/README.md` defines the format.
schemathesis.openapi.format(
    "local-date-time",
    strategies.datetimes(datetime.datetime(2026, 1, 1), datetime.datetime(2027, 1, 1)).map(
        lambda time: time.replace(microsecond=0).isoformat()
    ),
)

# What a mock server refuses although the request has the form that the spec demands: because of the data that it holds, or
# because the vendor says that such a rule exists, but not in a way that a spec can express.
RULES = {
    "fentu": [
        r"\w+: must be the id of a record that exists",
    ],
    "fisikal": [
        # A client, a product or an activity that does not exist, or does not fit the others.
        r"(client_id|client_ids|location_id|purchases|trainer_activity_id): invalid",
        r"order_id: taken",
        # The parameters of free slots have only been observed together.
        r"service_id: invalid",
        # What a new client needs is known from the errors alone.
        r"email: (invalid|taken)",
        r"password: length",
        r"The booking can no longer be canceled without a late cancellation\.",
    ],
    "fixably": [
        r"`\w+` refers to a record that does not exist\.",
        r"The order has no line -?\d+\.",
        # Relations and fields depend on the object.
        r"`\w+` is not a relation of \w+",
        r"a list expands `items` and nothing else, not `\w+`",
        r"nothing can be expanded inside `\w+`",
        r"`\w+` is expanded twice",
        r"q (has an unknown field|cannot compare|expects) (?s:.*)",
        # Either may be blank, so it is not enough that one of them is there.
        r"A customer needs `phone` or `email`\.",
        r"A device needs `serialNumber` or `imeiNumber1`\.",
        # Assumed: the vendor's clients send no note without a text, and no change that changes nothing.
        r"`text` is required\.",
        r"The body (must be a JSON object|has to say what to change)\.",
    ],
    "repairy": [
        r"workshopId: is not the id of a workshop",
        r"(services\[\d+\]\.)?catalogId: is not in the catalog of the workshop",
        r"services\[\d+\]\.catalogCode: is not the code of this service",
        r"customer(Id|Phone): does not belong to a customer",
        r"dropOffTime: is not a slot of the workshop",
        # The vendor says that some fields are mandatory, and not which.
        r"[\w. ]+: is required",
        r"services\[\d+\]\.(title|category): is required for a custom service",
    ],
}

# Statuses that say nothing about the form of a request.
UNRELATED = {401, 403, 404, 409, 429}

refusals = 0


@atexit.register
def report():
    print(f"Refused by a rule that no spec can express: {refusals}")


@schemathesis.check
def accepts_what_the_spec_allows(ctx, response, case):
    """A request that the spec allows is accepted, or refused by a rule that no spec can express."""
    global refusals
    meta = case.meta
    if meta is None or not meta.generation.mode.is_positive:
        return None
    status = response.status_code
    if status < 400 or status >= 500 or status in UNRELATED:
        return None
    definition = case.operation.definition.raw
    reasons = reasons_of(response)
    if is_exclusive(definition, case.query or {}) or is_beyond_span(definition, case.query or {}):
        return None
    vendor = case.operation.schema.raw_schema["info"]["title"].split()[0].lower()
    unknown = [reason for reason in reasons if not any(re.fullmatch(rule, reason) for rule in RULES[vendor])]
    if unknown or not reasons:
        raise AssertionError(f"The spec allows the request, and the server refuses it: {status} {unknown}")
    refusals += 1
    return None


def reasons_of(response):
    """The reasons in an error response, in any vendor's form."""
    try:
        body = json.loads(response.content)
    except ValueError:
        return []
    error = body.get("error")
    details = body.get("errors") or (error.get("details") if isinstance(error, dict) else None)
    if details:
        return [f"{item.get('field', item.get('on'))}: {item.get('message', item.get('type'))}" for item in details]
    message = body.get("developerMessage") or body.get("message") or body.get("exception")
    if message is None and isinstance(error, dict):
        message = error.get("message")
    return [message or str(error)]


def is_exclusive(definition, query):
    """Whether a query has two parameters of which the extension `x-exclusive` allows one."""
    return any(sum(name in query for name in group) > 1 for group in definition.get("x-exclusive", []))


def is_beyond_span(definition, query):
    """Whether the days of a query are in the wrong order or further apart than the extension `x-span` allows."""
    span = definition.get("x-span")
    if span is None or span["from"] not in query or span["to"] not in query:
        return False
    first, last = (datetime.date.fromisoformat(query[span[end]]) for end in ("from", "to"))
    # Whether the vendor counts both ends is unknown, so the mock server does.
    return not 0 <= (last - first).days < span["days"]
