"""The tables of an outbox, in SQLite. Times are microseconds since 1970."""

from __future__ import annotations

SCHEMA = """
CREATE TABLE about (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE file (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, path TEXT NOT NULL, device INTEGER NOT NULL,
                   inode INTEGER NOT NULL, head BLOB NOT NULL, tail BLOB NOT NULL, offset INTEGER NOT NULL);
CREATE INDEX file_head ON file (head);
-- No answer: still to be sent. What has its answer keeps its id, for the watermark, but not its body; what was rejected
-- both, as it may be sent again. Bodies are apart so that their space is used again.
CREATE TABLE event (place INTEGER PRIMARY KEY AUTOINCREMENT, event_id TEXT NOT NULL, contract TEXT NOT NULL,
                    accepted_at INTEGER, answer TEXT);
CREATE TABLE body (place INTEGER PRIMARY KEY, body BLOB NOT NULL);
CREATE INDEX event_waiting ON event (place) WHERE answer IS NULL;
CREATE INDEX event_window ON event (contract, accepted_at);
-- `changed`: something was added of which no watermark has told yet.
CREATE TABLE contract (symbol TEXT PRIMARY KEY, delivery_end INTEGER NOT NULL, changed INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE watermark (contract TEXT NOT NULL, sequence INTEGER NOT NULL, made_at INTEGER NOT NULL,
                        PRIMARY KEY (contract, sequence)) WITHOUT ROWID;
CREATE TABLE reject (place INTEGER PRIMARY KEY AUTOINCREMENT, line BLOB NOT NULL);
"""
