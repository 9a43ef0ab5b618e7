-- The tables of kombu's SQLAlchemy transport, made here because the application role may not define tables. Only the
-- embedded default uses them; with RabbitMQ they stay empty. Messages are doorbells: losing one costs a sweep.
CREATE SEQUENCE queue_id_sequence;
CREATE SEQUENCE message_id_sequence;
CREATE TABLE kombu_queue (id integer PRIMARY KEY, name varchar(200) UNIQUE);
CREATE TABLE kombu_message (
    id integer PRIMARY KEY,
    visible boolean,
    "timestamp" timestamp,
    payload text NOT NULL,
    version smallint NOT NULL,
    queue_id integer CONSTRAINT "FK_kombu_message_queue" REFERENCES kombu_queue (id)
);
CREATE INDEX ix_kombu_message_visible ON kombu_message (visible);
CREATE INDEX ix_kombu_message_timestamp ON kombu_message ("timestamp");
CREATE INDEX ix_kombu_message_timestamp_id ON kombu_message ("timestamp", id);
