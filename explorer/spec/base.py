"""What all specs share: frozen, no unknown fields, and errors of one clear line."""

from reprlib import Repr
from typing import Any, Self, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError, field_validator

LONGEST_QUOTE = 60
SHORT = Repr()  # writes no more of a value than is read, however deep or long it is
SHORT.maxstring = SHORT.maxother = SHORT.maxlong = 2 * LONGEST_QUOTE
S = TypeVar("S", bound=BaseModel)


class SpecError(ValueError):
    """A spec that cannot be: one line with the field, the value and what is allowed."""

    def __init__(self, field: str, value: object, allowed: str) -> None:
        self.field = field
        super().__init__(f"{printable(field)}: {quote(value)} is not allowed; {allowed}")


def quote(value: object) -> str:
    """`value` on one printable line, cut to a length that fits a message."""
    return f"'{printable(value if isinstance(value, str) else SHORT.repr(value))}'"


def printable(text: str) -> str:
    """`text` cut to LONGEST_QUOTE characters, with ? for those that do not print."""
    shown = "".join(c if c.isprintable() else "?" for c in text[:LONGEST_QUOTE])
    return f"{shown}…" if len(text) > LONGEST_QUOTE else shown


class Frozen(BaseModel):
    """Base of all specs. `replace` gives a changed, checked copy."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, str_max_length=400, strict=False
    )

    @field_validator("*")
    @classmethod
    def _one_zero(cls, value: Any) -> Any:
        """-0.0 becomes 0.0, so that equal specs are written alike and have one key."""
        if isinstance(value, tuple):
            return tuple(cls._one_zero(part) for part in value)
        return value + 0.0 if isinstance(value, float) else value

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
    """The first error of a pydantic report as a SpecError; one of ours comes back as it is."""
    error = report.errors(include_url=False)[0]
    cause = error.get("ctx", {}).get("error")
    if isinstance(cause, SpecError):
        return cause
    field = ".".join(str(part) for part in error["loc"] if not isinstance(part, int)) or "spec"
    message = "there is no such field" if error["type"] == "extra_forbidden" else error["msg"]
    return SpecError(field, error["input"], message[0].lower() + message[1:])
