"""The server does what its OpenAPI description says, whatever is sent to it."""

from __future__ import annotations

from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.specs.openapi.checks import positive_data_acceptance

from .live import Live

EXAMPLES = 12
"""Requests for each operation."""


@pytest.mark.slow
def test_no_request_breaks_the_server_or_its_description(live: Live) -> None:
    schema = schemathesis.openapi.from_url(f"{live.url}/openapi.json")
    operations = [found.ok() for found in schema.get_all_operations()]
    assert len(operations) == 11
    for operation in operations:
        check(operation)


def check(operation: Any) -> None:
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],
    )
    @given(case=operation.as_strategy())
    def holds(case: Any) -> None:
        # what fits the schema need not be an image
        case.call_and_validate(excluded_checks=[positive_data_acceptance])

    holds()
