DROP TABLE kombu_message;
DROP TABLE kombu_queue;
DROP SEQUENCE message_id_sequence;
DROP SEQUENCE queue_id_sequence;
