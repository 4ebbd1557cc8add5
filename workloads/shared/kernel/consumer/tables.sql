-- Tables that a database needs to be written to by consumers. Copy them into a migration of that database, and grant the consumer's role
-- SELECT, INSERT, UPDATE on both.
CREATE TABLE consumer_offset (
  consumer_group text COLLATE "C" NOT NULL,
  topic          text COLLATE "C" NOT NULL,
  partition      integer NOT NULL,
  next_offset    bigint NOT NULL CHECK (next_offset >= 0),
  updated_at     timestamptz NOT NULL DEFAULT now(),
  -- Kafka's id of the topic that next_offset belongs to; NULL: not known.
  topic_id       text COLLATE "C" CHECK (topic_id ~ '^[A-Za-z0-9_-]{22}$'),
  PRIMARY KEY (consumer_group, topic, partition)
) WITH (fillfactor = 20);

-- For consumers whose effects are not idempotent by the event's id: an event that is produced twice, or replayed, is applied once.
CREATE TABLE applied_event (
  consumer_group text COLLATE "C" NOT NULL,
  event_id       text COLLATE "C" NOT NULL,
  PRIMARY KEY (consumer_group, event_id)
);
