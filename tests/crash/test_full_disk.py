"""The disk is full for a while: a statement of a batch fails, or its COMMIT, as the server itself reports it."""

from __future__ import annotations

import psycopg

from tests.conftest import DatabaseUrls
from tests.crash.checks import check_all
from tests.crash.load import trading
from tests.crash.sequencers import LONGER, epoch, processes, seeded, start, wait_until
from tests.replays import Replays

FAILURES = 6 * LONGER
TABLES = ("exchange_order", "ledger_entry", "exchange_fill", "exchange_intakeresult", "exchange_sequencerstate")

# Numbers drawn from a sequence are not given back by a rollback, so they count the tries.
SPACE = """
    CREATE SEQUENCE tries;
    CREATE SEQUENCE failures;
    CREATE FUNCTION need_space() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
    BEGIN
        IF nextval('tries') = ANY (TG_ARGV[0]::bigint[]) THEN
            PERFORM nextval('failures');
            RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = 'disk_full';
        END IF;
        RETURN NULL;
    END $$;
    CREATE CONSTRAINT TRIGGER at_commit AFTER INSERT ON exchange_sequencerbatch
        DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION need_space('{tries}');
"""
STATEMENT = """
    CREATE TRIGGER while_written AFTER INSERT OR UPDATE ON {table} FOR EACH STATEMENT
        EXECUTE FUNCTION need_space('{tries}');
"""


def fill_disk(urls: DatabaseUrls, tries: list[int]) -> None:
    numbers = f"{{{','.join(map(str, tries))}}}"
    with psycopg.connect(urls.owner_url, autocommit=True) as owner:
        owner.execute(SPACE.replace("{tries}", numbers).encode())
        for table in TABLES:
            owner.execute(STATEMENT.replace("{tries}", numbers).replace("{table}", table).encode())


def failures(urls: DatabaseUrls) -> int:
    with psycopg.connect(urls.owner_url, autocommit=True) as owner:
        row = owner.execute("SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM failures").fetchone()
    assert row is not None
    return int(row[0])


def make_room(urls: DatabaseUrls) -> None:
    with psycopg.connect(urls.owner_url, autocommit=True) as owner:
        owner.execute("DROP FUNCTION need_space CASCADE")
        owner.execute("DROP SEQUENCE tries, failures")


def test_batches_are_done_again_until_there_is_room(database: DatabaseUrls, replays: Replays) -> None:
    draw = seeded()
    with processes() as running, trading(draw) as load:
        before = epoch()
        fill_disk(database, sorted(draw.sample(range(10, 40 * LONGER + 40), FAILURES)))
        running.append(start(database))
        wait_until(lambda: failures(database) == FAILURES, "the disk to be full", running)
        load.go_on(20, running)
        load.stop()
    assert before + 1 < epoch() <= before + 1 + FAILURES  # some failed while they took over
    make_room(database)
    check_all(load.acknowledged, replays.run)
