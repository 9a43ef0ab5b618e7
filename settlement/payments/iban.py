"""IBAN and BIC: their form and check digits (ISO 13616, ISO 7064 MOD 97-10, ISO 9362). Pure."""

from __future__ import annotations

import re

from settlement.payments.errors import InvalidPayoutAccount

MAX_HOLDER = 70  # of a name in pain.001 as banks take it
_IBAN = re.compile(r"[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}", re.ASCII)
_BIC = re.compile(r"[A-Z]{6}[A-Z0-9]{2}([A-Z0-9]{3})?", re.ASCII)


def check_iban(text: str) -> str:
    """The IBAN without spaces, in capitals. Raises `InvalidPayoutAccount` for a wrong form or wrong check digits."""
    iban = re.sub(r"\s", "", text).upper()
    if not _IBAN.fullmatch(iban):
        raise InvalidPayoutAccount("An IBAN is a country, two check digits and 11 to 30 more characters.", field="iban")
    digits = "".join(str(int(character, 36)) for character in iban[4:] + iban[:4])
    if int(digits) % 97 != 1:
        raise InvalidPayoutAccount("The check digits of the IBAN are wrong. Compare it with its source.", field="iban")
    return iban


def check_bic(text: str) -> str:
    """The BIC in capitals; nothing stays nothing. Raises `InvalidPayoutAccount`."""
    bic = re.sub(r"\s", "", text).upper()
    if bic and not _BIC.fullmatch(bic):
        raise InvalidPayoutAccount("A BIC has 8 or 11 characters, such as DEUTDEFF or DEUTDEFF500.", field="bic")
    return bic


def check_holder(text: str) -> str:
    """The name of who owns the account, as a bank and a spreadsheet can take it. Raises `InvalidPayoutAccount`."""
    holder = " ".join(text.split())
    if not 0 < len(holder) <= MAX_HOLDER or not holder.isprintable() or not holder[0].isalnum():
        raise InvalidPayoutAccount(
            f"The holder's name has 1 to {MAX_HOLDER} printable characters and begins with a letter or digit.",
            field="holder",
        )
    return holder
