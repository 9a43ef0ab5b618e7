"""What the exchange tells the audit of its line: the counters stand where the batches left them, and none was skipped.

The database lets counters rise only; one that was pushed ahead would leave commands out for ever.
"""

from __future__ import annotations

from psycopg import sql

from ledger.audit import Check, Finding, Looked, Span, View, register_check

# An incremental audit leaves out commands that were received before the last clean one.
_ASTRAY = sql.SQL(
    """
    WITH last AS (
        SELECT no, shard, last_seq, ran_at FROM exchange_sequencerbatch
         WHERE no IN (SELECT max(no) FROM exchange_sequencerbatch GROUP BY shard)
    ), newest AS (
        SELECT coalesce(max(no), 0) AS no, max(ran_at) AS ran_at FROM last
    )
    SELECT 'shard ' || state.shard AS what, 'cursor', state.cursor::text, coalesce(last.last_seq, 0)::text
      FROM exchange_sequencerstate AS state LEFT JOIN last USING (shard)
     WHERE state.cursor <> coalesce(last.last_seq, 0)
     UNION ALL
    SELECT 'exchange', counter.name, counter.stands, counter.due
      FROM exchange_exchangehead AS head CROSS JOIN newest
     CROSS JOIN (SELECT coalesce(max(id), 0) AS id FROM exchange_fill) AS fill
     CROSS JOIN LATERAL (VALUES ('last batch', head.last_batch::text, newest.no::text),
                                ('last fill', head.last_fill::text, fill.id::text),
                                ('clock reading', head.last_ran_at::text, newest.ran_at::text))
                        AS counter(name, stands, due)
     WHERE counter.stands IS DISTINCT FROM counter.due
     UNION ALL
    SELECT 'command ' || line.seq, NULL, NULL, NULL
      FROM exchange_intake AS line
      JOIN exchange_sequencerstate AS state ON state.shard = line.shard AND line.seq <= state.cursor
     WHERE (%(since)s::timestamptz IS NULL OR line.received_at >= %(since)s)
       AND NOT EXISTS (SELECT FROM exchange_intakeresult AS result WHERE result.seq = line.seq)
     ORDER BY 1, 2
    """
)
_COUNTED = "SELECT count(*) FROM exchange_intake WHERE %(since)s::timestamptz IS NULL OR received_at >= %(since)s"


def _line(view: View, _span: Span) -> Looked:
    def tell(what: str, counter: str | None, stands: str | None, due: str | None) -> Finding:
        if counter is None:
            return Finding(what, "the cursor of its shard is past it, and it has no result")
        return Finding(what, f"its {counter} is {stands}, the batches that ran left {due}")

    since = {"since": view.base.started_at}
    ((rows,),) = view.rows(_COUNTED, since)
    return view.look(_ASTRAY, since, tell, rows=rows)


def register() -> None:
    """Tell the audit; once, at start-up."""
    register_check(
        Check(
            "exchange.line",
            "Counters stand where the last batches left them, and no command that they have passed is undecided",
            "A counter was moved by hand, or a batch was changed. Stop the sequencers before anything else is decided.",
            _line,
        )
    )
