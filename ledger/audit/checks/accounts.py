"""Accounts against what led to them: stored figures, floors, totals, whose they are, and the evidence of changes."""

from __future__ import annotations

from dataclasses import asdict

from ledger.audit.findings import Finding, Looked
from ledger.audit.layout import Span
from ledger.audit.registry import Check, by_accounts
from ledger.audit.snapshot import View
from ledger.chart import HOUSE_ROLES, TOKEN_ROLES, UNBOUNDED_ROLES, AssetKind, Role
from ledger.models import PartyKind

_DRIFTED = """
    SELECT account.id, account.balance, account.seq, account.held, account.hold_seq,
           coalesce(entry.balance_after, 0), coalesce(entry.account_seq, 0),
           coalesce(hold.held_after, 0), coalesce(hold.hold_seq, 0)
      FROM ledger_account AS account
      LEFT JOIN LATERAL (SELECT account_seq, balance_after FROM ledger_entry
                          WHERE account_id = account.id ORDER BY account_seq DESC LIMIT 1) AS entry ON true
      LEFT JOIN LATERAL (SELECT hold_seq, held_after FROM ledger_holdentry
                          WHERE account_id = account.id ORDER BY hold_seq DESC LIMIT 1) AS hold ON true
     WHERE account.id BETWEEN %(first)s AND %(last)s
       AND (account.balance, account.seq, account.held, account.hold_seq)
           IS DISTINCT FROM (coalesce(entry.balance_after, 0), coalesce(entry.account_seq, 0),
                             coalesce(hold.held_after, 0), coalesce(hold.hold_seq, 0))
     ORDER BY account.id
"""
_OUT_OF_BOUNDS = """
    SELECT id, role, balance, held, floor FROM ledger_account
     WHERE balance::numeric - held < floor OR held < 0 OR (floor IS NULL AND NOT role = ANY(%(unbounded)s))
        OR (floor < 0 AND role <> %(obligation)s) OR (role = %(debt)s AND balance > 0)
        OR (closed AND (balance <> 0 OR held <> 0))
     ORDER BY id
"""
_TOTALS = """
    SELECT asset_id, sum(balance), count(*) FROM ledger_account
     GROUP BY asset_id HAVING sum(balance) <> 0 ORDER BY asset_id
"""
_MISFITS = """
    SELECT account.id, account.role, asset.kind, party.kind
      FROM ledger_account AS account
      LEFT JOIN ledger_asset AS asset ON asset.id = account.asset_id
      LEFT JOIN ledger_party AS party ON party.id = account.party_id
     WHERE asset.id IS NULL OR party.id IS NULL OR NOT account.role = ANY(%(roles)s)
        OR (account.role = ANY(%(token_roles)s)) <> (asset.kind = %(contract)s)
        OR (account.role = ANY(%(house_roles)s) AND party.kind <> %(house)s)
     ORDER BY account.id
"""
# Every change goes on from the one before it, the first from how an account opens, and the last is how it stands now.
_UNEXPLAINED = """
    WITH opening AS (
        SELECT id, what, now,
               CASE what WHEN 'floor' THEN CASE WHEN role = ANY(%(unbounded)s) THEN 'none' ELSE '0' END
                         ELSE 'frozen=f closed=f' END AS before
          FROM ledger_account
         CROSS JOIN LATERAL (VALUES ('floor', coalesce(floor::text, 'none')),
                                    ('flags', format('frozen=%%s closed=%%s', frozen, closed))) AS state(what, now)
    ), step AS (
        SELECT account_id, what, id AS change, before, after,
               lag(after) OVER steps AS after_before, lead(id) OVER steps IS NULL AS last
          FROM ledger_accountchange WINDOW steps AS (PARTITION BY account_id, what ORDER BY id)
    )
    SELECT coalesce(opening.id, step.account_id), coalesce(opening.what, step.what), step.change,
           coalesce(step.after_before, opening.before), step.before, step.after, opening.now, step.last
      FROM opening FULL JOIN step ON step.account_id = opening.id AND step.what = opening.what
     WHERE opening.id IS NULL
        OR (step.change IS NULL AND opening.now <> opening.before)
        OR step.before <> coalesce(step.after_before, opening.before)
        OR (step.last AND step.after <> opening.now)
     ORDER BY 1, 2, 3
"""


def _count_accounts(view: View) -> int:
    ((rows,),) = view.rows("SELECT count(*) FROM ledger_account")
    return int(rows)


def _stored(view: View, span: Span) -> Looked:
    def tell(account: int, balance: int, seq: int, held: int, hold_seq: int, *last: int) -> Finding:
        told = []
        if (balance, seq) != last[:2]:
            told.append(f"it says balance {balance} after {seq} entries, its last entry {last[0]} after {last[1]}")
        if (held, hold_seq) != last[2:]:
            told.append(f"it says held {held} after {hold_seq} hold entries, its last one {last[2]} after {last[3]}")
        return Finding(f"account {account}", "; ".join(told))

    return view.look(_DRIFTED, asdict(span), tell, rows=span.rows)


def _floors(view: View, _span: Span) -> Looked:
    def tell(account: int, role: str, balance: int, held: int, floor: int | None) -> Finding:
        said = "no floor" if floor is None else f"floor {floor}"
        told = f"balance {balance} and held {held} with {said} cannot be, on an account of role {role}"
        return Finding(f"account {account}", told)

    parameters = {
        "unbounded": [role.value for role in UNBOUNDED_ROLES],
        "obligation": Role.OBLIGATION.value,
        "debt": Role.DEBT.value,
    }
    return view.look(_OUT_OF_BOUNDS, parameters, tell, rows=_count_accounts(view))


def _totals(view: View, _span: Span) -> Looked:
    def tell(asset: int, total: int, accounts: int) -> Finding:
        return Finding(f"asset {asset}", f"its {accounts} accounts sum to {total}, not to 0")

    return view.look(_TOTALS, None, tell, rows=_count_accounts(view))


def _roles(view: View, _span: Span) -> Looked:
    def tell(account: int, role: str, asset: str | None, party: str | None) -> Finding:
        told = f"role {role} does not fit an asset of kind {asset} and a party of kind {party}"
        return Finding(f"account {account}", told)

    parameters = {
        "roles": [role.value for role in Role],
        "token_roles": [role.value for role in TOKEN_ROLES],
        "house_roles": [role.value for role in HOUSE_ROLES],
        "contract": AssetKind.CONTRACT.value,
        "house": PartyKind.HOUSE.value,
    }
    return view.look(_MISFITS, parameters, tell, rows=_count_accounts(view))


def _changes(view: View, _span: Span) -> Looked:
    def tell(
        account: int,
        what: str,
        change: int | None,
        due: str | None,
        before: str | None,
        after: str | None,
        now: str | None,
        last: bool | None,
    ) -> Finding:
        subject = f"account {account}"
        if now is None:
            return Finding(subject, f"change {change} of its {what} is on record, but there is no such account")
        if change is None:
            return Finding(subject, f"its {what} went from {due} to {now}, and nothing on record says who did it")
        if before != due:
            return Finding(subject, f"change {change} of its {what} goes on from {before}, but it stood at {due}")
        return Finding(subject, f"its {what} is {now}, the last change on record ({change}) says {after}")

    parameters = {"unbounded": [role.value for role in UNBOUNDED_ROLES]}
    ((rows,),) = view.rows("SELECT count(*) FROM ledger_accountchange")
    return view.look(_UNEXPLAINED, parameters, tell, rows=rows)


_REPAIR = "The account was changed behind the posting door. Its entries say what it should be; find out who changed it."

CHECKS = (
    Check(
        "stored_balances",
        "Every account's balance and held amount are those after its last entry and hold entry",
        _REPAIR,
        _stored,
        by_accounts,
    ),
    Check("floors", "No account stands below its floor, and floors are what the role allows", _REPAIR, _floors),
    Check(
        "asset_totals",
        "The balances of all accounts of an asset sum to zero",
        "Value came from nowhere or is gone. The findings of the other checks say where.",
        _totals,
    ),
    Check(
        "account_roles",
        "Every account's role fits its asset and its party",
        "Somebody made or changed an account behind the posting door: what it paid out or took in has to be looked at.",
        _roles,
    ),
    Check(
        "account_changes",
        "Every change of a floor, freeze or closure is on record, with who did it and why",
        _REPAIR,
        _changes,
    ),
)
