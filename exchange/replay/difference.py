"""Where record and replay part."""

from __future__ import annotations

from dataclasses import asdict, dataclass

ABSENT = "absent"


@dataclass(frozen=True, slots=True)
class Difference:
    """The first one. `place` is the step of the history, `subject` the row, `field` what of it differs, if it is there
    on both sides.
    """

    place: str
    subject: str
    field: str
    recorded: str
    replayed: str

    def __str__(self) -> str:
        subject = f"{self.subject}, {self.field}" if self.field else self.subject
        return f"{self.place}: {subject}: recorded {self.recorded}, replayed {self.replayed}"

    def as_json(self) -> dict[str, str]:
        return asdict(self)


class Diverged(Exception):
    """The replay cannot go on as the record says."""

    def __init__(self, difference: Difference) -> None:
        super().__init__(str(difference))
        self.difference = difference
