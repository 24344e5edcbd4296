"""What all specs share: frozen, no unknown fields, and errors of one clear line."""

from typing import Any, Self, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

LONGEST_QUOTE = 60
S = TypeVar("S", bound=BaseModel)


class SpecError(ValueError):
    """A spec that cannot be: one line with the field, the value and what is allowed."""

    def __init__(self, field: str, value: object, allowed: str) -> None:
        self.field = field
        super().__init__(f"{field}: {quote(value)} is not allowed; {allowed}")


def quote(value: object) -> str:
    """`value` on one printable line, cut to a length that fits a message."""
    text = value if isinstance(value, str) else repr(value)
    text = "".join(c if c.isprintable() else "?" for c in text[: LONGEST_QUOTE + 1])
    return f"'{text[:LONGEST_QUOTE]}…'" if len(text) > LONGEST_QUOTE else f"'{text}'"


class Frozen(BaseModel):
    """Base of all specs. `replace` gives a changed, checked copy."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, str_max_length=400, strict=False
    )

    def replace(self, **changes: Any) -> Self:
        """A copy with `changes`, checked as if it were new; SpecError if it cannot be."""
        return checked(type(self), {**self.fields(), **changes})

    def fields(self) -> dict[str, Any]:
        """The field values by name, specs inside left as they are."""
        return {name: getattr(self, name) for name in type(self).model_fields}


def checked(kind: type[S], values: dict[str, Any]) -> S:
    """Build `kind` from `values`; pydantic's report becomes a SpecError on its first error."""
    try:
        return kind(**values)
    except ValidationError as report:
        raise first_error(report) from None


def first_error(report: ValidationError) -> SpecError:
    """The first error of a pydantic report as a SpecError (one raised by us comes back as it is)."""
    error = report.errors(include_url=False)[0]
    cause = error.get("ctx", {}).get("error")
    if isinstance(cause, SpecError):
        return cause
    field = ".".join(str(part) for part in error["loc"] if not isinstance(part, int)) or "spec"
    message = "there is no such field" if error["type"] == "extra_forbidden" else error["msg"]
    return SpecError(field, error["input"], message[0].lower() + message[1:])
