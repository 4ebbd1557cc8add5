-- Up Migration

-- A topic that was deleted and recreated has the same name and other records: only Kafka's id of the topic tells whether an offset still means
-- the same record. Consumers of the former version leave the column as it is.
ALTER TABLE consumer_offset ADD COLUMN topic_id text COLLATE "C" CHECK (topic_id ~ '^[A-Za-z0-9_-]{22}$');
COMMENT ON COLUMN consumer_offset.topic_id IS 'Kafka''s id of the topic that next_offset belongs to, as kafka-topics.sh prints it; NULL: not known.';

-- Down Migration

ALTER TABLE consumer_offset DROP COLUMN topic_id;
