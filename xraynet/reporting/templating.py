"""The one way templates are filled: everything escaped, a missing fact is an error."""

from collections.abc import Callable, Mapping

import jinja2


def new_environment(filters: Mapping[str, Callable[..., str]]) -> jinja2.Environment:
    """An environment over ``reporting/templates`` with autoescape on (jinja2's default is off) and these filters."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("xraynet.reporting", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(filters)
    return environment
