"""What schemathesis has to know about the specs and the mock servers that OpenAPI cannot say.

`scripts/schemathesis` loads this file. Its check takes the place of `positive_data_acceptance`: a request that the spec allows
must be accepted, unless a rule refuses it that OpenAPI cannot express. Each such rule is in `RULES`, by vendor, as the reason
that the mock server gives, or is an extension of the spec (`x-exclusive`, `x-span`). Any other reason is a finding.
"""

import atexit
import collections
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

# What a mock server refuses although the request has the form that the spec demands. OpenAPI can say none of it, or the vendor
# leaves it open and the spec must not forbid it. A rule that begins with a method holds for that method only.
RULES = {
    "fentu": [
        # Stored data.
        r"\w+: must be the id of a record that exists",
    ],
    "fisikal": [
        # Stored data: a client, a product or an activity that does not exist, or does not fit the others.
        r"(client_id|client_ids|location_id|purchases|trainer_activity_id): invalid",
        r"(order_id|email): taken",
        r"The booking can no longer be canceled without a late cancellation\.",
        # The parameters of free slots have been observed together, and no source says that one of them is required.
        r"GET service_id: invalid",
        # OpenAPI cannot say that two members are equal.
        r"password_confirmation: invalid",
    ],
    "fixably": [
        # Stored data.
        r"`\w+` refers to a record that does not exist\.",
        r"The order has no line -?\d+\.",
        # A PUT keeps what it leaves out, so the stored values decide whether the customer still has one of them.
        r"PUT A customer needs `phone` or `email`\.",
        # The spec says the grammar. What an unknown name does is unknown, so the spec must not forbid one, and which names are
        # known depends on the object. That a name comes twice is beyond a pattern.
        r"GET `\w+` is not a relation of \w+",
        r"GET a list expands `items` and nothing else, not `\w+`",
        r"GET nothing can be expanded inside `\w+`",
        r"GET `\w+` is expanded twice",
        # As above for the fields, and the values that a term may have depend on its field.
        r"GET q (has an unknown field|cannot compare|expects) (?s:.*)",
    ],
    "repairy": [
        # Stored data.
        r"workshopId: is not the id of a workshop",
        r"(services\[\d+\]\.)?catalogId: is not in the catalog of the workshop",
        r"services\[\d+\]\.catalogCode: is not the code of this service",
        r"customer(Id|Phone): does not belong to a customer",
        r"dropOffTime: is not a slot of the workshop",
    ],
}

# Statuses that say nothing about the form of a request.
UNRELATED = {401, 403, 404, 409, 429}

# How many requests each rule excused.
refusals = collections.Counter()
excused = 0


@atexit.register
def report():
    print(f"Refused by a rule that no spec can express: {excused}")
    for rule, count in refusals.most_common():
        print(f"{count:6} {rule}")


@schemathesis.check
def accepts_what_the_spec_allows(ctx, response, case):
    """A request that the spec allows is accepted, or refused by a rule that no spec can express."""
    global excused
    meta = case.meta
    if meta is None or not meta.generation.mode.is_positive:
        return None
    status = response.status_code
    if status < 400 or status >= 500 or status in UNRELATED:
        return None
    definition = case.operation.definition.raw
    reasons = reasons_of(response)
    query = case.query or {}
    vendor = case.operation.schema.raw_schema["info"]["title"].split()[0].lower()
    if is_exclusive(definition, query):
        rules = ["x-exclusive"]
    elif is_beyond_span(definition, query):
        rules = ["x-span"]
    else:
        rules = [rule_of(vendor, case.operation.method, reason) for reason in reasons]
    if not reasons or None in rules:
        unknown = [reason for reason, rule in zip(reasons, rules) if rule is None]
        raise AssertionError(f"The spec allows the request, and the server refuses it: {status} {unknown}")
    excused += 1
    refusals.update(set(rules))
    return None


def rule_of(vendor, method, reason):
    """The rule of a vendor that gives this reason, or none."""
    texts = (reason, f"{method.upper()} {reason}")
    return next((rule for rule in RULES[vendor] if any(re.fullmatch(rule, text) for text in texts)), None)


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
