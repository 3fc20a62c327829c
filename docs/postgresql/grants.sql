-- Rights for the processes of sendSmsNow, each with a role of its own in PostgreSQL.
-- `sendsmsnow grants` prints them. The owner of the tables applies them, once more
-- after each `sendsmsnow migrate`: what is not granted here is taken away.
BEGIN;
DO $$ BEGIN
    EXECUTE 'GRANT USAGE ON SCHEMA ' || quote_ident(current_schema())
        || ' TO "sendsmsnow_web", "sendsmsnow_worker", "sendsmsnow_mail", "sendsmsnow_operator"';
END $$;
REVOKE ALL ON alembic_version, account, old_key, message, delivery, queue, claim, awaited,
        lease, part, step, early_receipt, number, keyword, received, incoming_part,
        idempotency, worker, allotment, stop, event, session, key_request, counter,
        cap_trip, daily_count, period, encryption_key, audit, audit_retention
    FROM PUBLIC, "sendsmsnow_web", "sendsmsnow_worker", "sendsmsnow_mail", "sendsmsnow_operator";
REVOKE ALL ON SEQUENCE account_id_seq, delivery_id_seq, step_id_seq, early_receipt_id_seq,
        received_id_seq, worker_id_seq, key_request_id_seq, audit_id_seq
    FROM PUBLIC, "sendsmsnow_web", "sendsmsnow_worker", "sendsmsnow_mail", "sendsmsnow_operator";
REVOKE ALL ON FUNCTION history_make, history_enter, history_detach, history_drop
    FROM PUBLIC, "sendsmsnow_web", "sendsmsnow_worker", "sendsmsnow_mail", "sendsmsnow_operator";

-- web
GRANT SELECT
    ON alembic_version TO "sendsmsnow_web";
GRANT SELECT (id, name, key_hash, key_hint, enabled, multi, test, rate_count, rate_period,
        free, parts_per_minute, parts_per_day, parts_per_month, kinds, countries, sender,
        senders, mail_address, mail_senders, mail_whole, mail_machines, validity, stops,
        callback_url, callback_paused_at, callback_paused_reason, version, next_free,
        created_at, deleted_at),
    INSERT (name, key_hash, key_hint, enabled, multi, test, rate_count, rate_period, free,
        countries, sender, mail_address, version, next_free, created_at),
    UPDATE (key_hash, key_hint, mail_address, stops, version, next_free)
    ON account TO "sendsmsnow_web";
GRANT USAGE
    ON SEQUENCE account_id_seq TO "sendsmsnow_web";
GRANT SELECT,
    INSERT,
    UPDATE (valid_until),
    DELETE
    ON old_key TO "sendsmsnow_web";
GRANT SELECT,
    INSERT (id, account_id, sender, text, encoding, parts, accepted_at, reference, hops),
    UPDATE (sender, text, reference, erased_at)
    ON message TO "sendsmsnow_web";
GRANT SELECT,
    INSERT (id, message_id, recipient, route, parts, state, due_at, expires_at, attempts,
        possible_duplicate, binding, country),
    UPDATE (recipient, route, parts, state, due_at, expires_at, attempts, possible_duplicate,
        binding)
    ON delivery TO "sendsmsnow_web";
GRANT USAGE
    ON SEQUENCE delivery_id_seq TO "sendsmsnow_web";
GRANT SELECT,
    INSERT,
    UPDATE (due_at),
    DELETE
    ON queue TO "sendsmsnow_web";
GRANT SELECT
    ON claim TO "sendsmsnow_web";
GRANT SELECT,
    INSERT,
    UPDATE (expires_at),
    DELETE
    ON awaited TO "sendsmsnow_web";
GRANT SELECT,
    INSERT,
    UPDATE (upstream, smsc_key, state),
    DELETE
    ON part TO "sendsmsnow_web";
GRANT SELECT,
    INSERT (delivery_id, at, part, event, detail)
    ON step TO "sendsmsnow_web";
GRANT USAGE
    ON SEQUENCE step_id_seq TO "sendsmsnow_web";
GRANT INSERT (upstream, smsc_id, state, recipient, error, done_at, raw, received_at, given_up)
    ON early_receipt TO "sendsmsnow_web";
GRANT USAGE
    ON SEQUENCE early_receipt_id_seq TO "sendsmsnow_web";
GRANT SELECT (digits, account_id)
    ON number TO "sendsmsnow_web";
GRANT SELECT (digits, word, account_id)
    ON keyword TO "sendsmsnow_web";
GRANT SELECT,
    INSERT (account_id, upstream, sender, recipient, text, received_at)
    ON received TO "sendsmsnow_web";
GRANT USAGE
    ON SEQUENCE received_id_seq TO "sendsmsnow_web";
GRANT SELECT,
    INSERT,
    UPDATE (received_at, joined_at),
    DELETE
    ON incoming_part TO "sendsmsnow_web";
GRANT SELECT,
    INSERT,
    UPDATE (content_hash, message_id, sent, created_at)
    ON idempotency TO "sendsmsnow_web";
GRANT SELECT,
    INSERT,
    DELETE
    ON stop TO "sendsmsnow_web";
GRANT INSERT
    ON event TO "sendsmsnow_web";
GRANT SELECT,
    INSERT,
    DELETE
    ON session TO "sendsmsnow_web";
GRANT SELECT,
    INSERT (address, language, network, requested_at, expires_at, mail_due_at, attempts,
        failure),
    UPDATE (token_hash, mail_due_at, granted_at),
    DELETE
    ON key_request TO "sendsmsnow_web";
GRANT USAGE
    ON SEQUENCE key_request_id_seq TO "sendsmsnow_web";
GRANT SELECT,
    INSERT,
    UPDATE (parts),
    DELETE
    ON counter TO "sendsmsnow_web";
GRANT SELECT (scope, period, start, refusals, refused_parts),
    INSERT,
    UPDATE (refusals, refused_parts)
    ON cap_trip TO "sendsmsnow_web";
GRANT SELECT
    ON daily_count TO "sendsmsnow_web";
GRANT SELECT
    ON period TO "sendsmsnow_web";
GRANT SELECT (name, check_value),
    INSERT
    ON encryption_key TO "sendsmsnow_web";
GRANT SELECT,
    INSERT (at, action, face, operator, network, account_id, account, facts)
    ON audit TO "sendsmsnow_web";
GRANT USAGE
    ON SEQUENCE audit_id_seq TO "sendsmsnow_web";

-- worker
GRANT SELECT
    ON alembic_version TO "sendsmsnow_worker";
GRANT SELECT (id, name, key_hint, enabled, multi, test, rate_count, rate_period, free,
        parts_per_minute, parts_per_day, parts_per_month, kinds, countries, sender,
        senders, mail_address, mail_senders, mail_whole, mail_machines, validity, stops,
        callback_url, callback_secret, callback_failing_since, callback_paused_at,
        callback_paused_reason, version, next_free, created_at, deleted_at),
    UPDATE (name, stops, callback_failing_since, callback_paused_at, callback_paused_reason,
        version)
    ON account TO "sendsmsnow_worker";
GRANT SELECT,
    UPDATE (sender, text, reference, erased_at),
    DELETE
    ON message TO "sendsmsnow_worker";
GRANT SELECT,
    UPDATE (recipient, route, state, due_at, attempts, possible_duplicate, claimed_by,
        upstream, binding, country),
    DELETE
    ON delivery TO "sendsmsnow_worker";
GRANT SELECT,
    INSERT,
    UPDATE (lane, route, due_at),
    DELETE
    ON queue TO "sendsmsnow_worker";
GRANT SELECT,
    INSERT,
    UPDATE (claimed_by),
    DELETE
    ON claim TO "sendsmsnow_worker";
GRANT SELECT,
    INSERT,
    UPDATE (expires_at),
    DELETE
    ON awaited TO "sendsmsnow_worker";
GRANT SELECT,
    INSERT,
    UPDATE (holder, until),
    DELETE
    ON lease TO "sendsmsnow_worker";
GRANT SELECT,
    INSERT,
    UPDATE (upstream, smsc_key, state),
    DELETE
    ON part TO "sendsmsnow_worker";
GRANT SELECT (delivery_id),
    INSERT (delivery_id, at, part, event, detail),
    DELETE
    ON step TO "sendsmsnow_worker";
GRANT USAGE
    ON SEQUENCE step_id_seq TO "sendsmsnow_worker";
GRANT SELECT,
    INSERT (upstream, smsc_id, state, recipient, error, done_at, raw, received_at, given_up),
    UPDATE (given_up),
    DELETE
    ON early_receipt TO "sendsmsnow_worker";
GRANT USAGE
    ON SEQUENCE early_receipt_id_seq TO "sendsmsnow_worker";
GRANT SELECT (digits, account_id)
    ON number TO "sendsmsnow_worker";
GRANT SELECT (digits, word, account_id)
    ON keyword TO "sendsmsnow_worker";
GRANT SELECT,
    INSERT (account_id, upstream, sender, recipient, text, received_at),
    DELETE
    ON received TO "sendsmsnow_worker";
GRANT USAGE
    ON SEQUENCE received_id_seq TO "sendsmsnow_worker";
GRANT SELECT,
    INSERT,
    UPDATE (received_at, joined_at),
    DELETE
    ON incoming_part TO "sendsmsnow_worker";
GRANT SELECT (id, created_at),
    INSERT,
    UPDATE (created_at),
    DELETE
    ON idempotency TO "sendsmsnow_worker";
GRANT SELECT,
    INSERT,
    UPDATE (alive_until, leaving),
    DELETE
    ON worker TO "sendsmsnow_worker";
GRANT USAGE
    ON SEQUENCE worker_id_seq TO "sendsmsnow_worker";
GRANT SELECT,
    INSERT,
    UPDATE (ready, rate_held, rate_wanted, window_held, window_wanted, speed, ceiling, until),
    DELETE
    ON allotment TO "sendsmsnow_worker";
GRANT SELECT,
    INSERT,
    DELETE
    ON stop TO "sendsmsnow_worker";
GRANT SELECT,
    INSERT,
    UPDATE (due_at, attempts, failure),
    DELETE
    ON event TO "sendsmsnow_worker";
GRANT SELECT,
    UPDATE (token_hash, mail_due_at, attempts, failure)
    ON key_request TO "sendsmsnow_worker";
GRANT SELECT (period, start),
    DELETE
    ON counter TO "sendsmsnow_worker";
GRANT SELECT,
    INSERT,
    UPDATE (refusals, refused_parts, due_at, attempts, failure),
    DELETE
    ON cap_trip TO "sendsmsnow_worker";
GRANT SELECT,
    INSERT,
    UPDATE (deliveries, parts)
    ON daily_count TO "sendsmsnow_worker";
GRANT SELECT
    ON period TO "sendsmsnow_worker";
GRANT SELECT (name, check_value),
    INSERT
    ON encryption_key TO "sendsmsnow_worker";
GRANT SELECT (id, at),
    INSERT (at, action, face, operator, network, account_id, account, facts),
    DELETE
    ON audit TO "sendsmsnow_worker";
GRANT USAGE
    ON SEQUENCE audit_id_seq TO "sendsmsnow_worker";
GRANT SELECT (before),
    INSERT,
    DELETE
    ON audit_retention TO "sendsmsnow_worker";
GRANT EXECUTE
    ON FUNCTION history_make TO "sendsmsnow_worker";
GRANT EXECUTE
    ON FUNCTION history_enter TO "sendsmsnow_worker";
GRANT EXECUTE
    ON FUNCTION history_detach TO "sendsmsnow_worker";
GRANT EXECUTE
    ON FUNCTION history_drop TO "sendsmsnow_worker";

-- mail
GRANT SELECT
    ON alembic_version TO "sendsmsnow_mail";
GRANT SELECT (id, name, key_hint, enabled, multi, test, rate_count, rate_period, free,
        parts_per_minute, parts_per_day, parts_per_month, kinds, countries, sender,
        senders, mail_address, mail_senders, mail_whole, mail_machines, validity, stops,
        callback_url, callback_paused_at, callback_paused_reason, version, next_free,
        created_at, deleted_at),
    UPDATE (next_free)
    ON account TO "sendsmsnow_mail";
GRANT INSERT (id, account_id, sender, text, encoding, parts, accepted_at, reference, hops)
    ON message TO "sendsmsnow_mail";
GRANT INSERT (id, message_id, recipient, route, parts, state, due_at, expires_at, attempts,
        possible_duplicate, binding, country)
    ON delivery TO "sendsmsnow_mail";
GRANT USAGE
    ON SEQUENCE delivery_id_seq TO "sendsmsnow_mail";
GRANT INSERT (delivery_id, message_id, account_id, lane, route, priority, parts, expires_at,
        attempts, possible_duplicate, due_at)
    ON queue TO "sendsmsnow_mail";
GRANT SELECT,
    INSERT,
    UPDATE (content_hash, message_id, sent, created_at)
    ON idempotency TO "sendsmsnow_mail";
GRANT SELECT (account_id, recipient)
    ON stop TO "sendsmsnow_mail";
GRANT SELECT,
    INSERT,
    UPDATE (parts),
    DELETE
    ON counter TO "sendsmsnow_mail";
GRANT SELECT (scope, period, start, refusals, refused_parts),
    INSERT,
    UPDATE (refusals, refused_parts)
    ON cap_trip TO "sendsmsnow_mail";
GRANT SELECT
    ON period TO "sendsmsnow_mail";
GRANT SELECT (name, check_value),
    INSERT
    ON encryption_key TO "sendsmsnow_mail";
GRANT SELECT (id),
    INSERT (at, action, face, operator, network, account_id, account, facts)
    ON audit TO "sendsmsnow_mail";
GRANT USAGE
    ON SEQUENCE audit_id_seq TO "sendsmsnow_mail";

-- operator
GRANT SELECT
    ON alembic_version TO "sendsmsnow_operator";
GRANT SELECT,
    INSERT,
    UPDATE
    ON account TO "sendsmsnow_operator";
GRANT USAGE
    ON SEQUENCE account_id_seq TO "sendsmsnow_operator";
GRANT SELECT,
    INSERT,
    UPDATE (valid_until),
    DELETE
    ON old_key TO "sendsmsnow_operator";
GRANT SELECT,
    INSERT (id, account_id, sender, text, encoding, parts, accepted_at, reference, hops),
    UPDATE (sender, text, reference, erased_at)
    ON message TO "sendsmsnow_operator";
GRANT SELECT,
    INSERT (id, message_id, recipient, route, parts, state, due_at, expires_at, attempts,
        possible_duplicate, binding, country),
    UPDATE (recipient, state, binding)
    ON delivery TO "sendsmsnow_operator";
GRANT USAGE
    ON SEQUENCE delivery_id_seq TO "sendsmsnow_operator";
GRANT SELECT,
    INSERT (delivery_id, message_id, account_id, lane, route, priority, parts, expires_at,
        attempts, possible_duplicate, due_at),
    DELETE
    ON queue TO "sendsmsnow_operator";
GRANT SELECT
    ON claim TO "sendsmsnow_operator";
GRANT SELECT,
    DELETE
    ON awaited TO "sendsmsnow_operator";
GRANT SELECT,
    INSERT (delivery_id, at, part, event, detail)
    ON step TO "sendsmsnow_operator";
GRANT USAGE
    ON SEQUENCE step_id_seq TO "sendsmsnow_operator";
GRANT SELECT (id, recipient),
    DELETE
    ON early_receipt TO "sendsmsnow_operator";
GRANT SELECT,
    INSERT,
    DELETE
    ON number TO "sendsmsnow_operator";
GRANT SELECT,
    INSERT,
    DELETE
    ON keyword TO "sendsmsnow_operator";
GRANT SELECT,
    INSERT (account_id, upstream, sender, recipient, text, received_at),
    DELETE
    ON received TO "sendsmsnow_operator";
GRANT USAGE
    ON SEQUENCE received_id_seq TO "sendsmsnow_operator";
GRANT SELECT (sender, recipient),
    DELETE
    ON incoming_part TO "sendsmsnow_operator";
GRANT SELECT
    ON worker TO "sendsmsnow_operator";
GRANT SELECT,
    DELETE
    ON stop TO "sendsmsnow_operator";
GRANT SELECT,
    UPDATE (due_at, attempts),
    DELETE
    ON event TO "sendsmsnow_operator";
GRANT SELECT (account_id),
    DELETE
    ON session TO "sendsmsnow_operator";
GRANT SELECT,
    UPDATE (token_hash, mail_due_at, granted_at),
    DELETE
    ON key_request TO "sendsmsnow_operator";
GRANT SELECT,
    INSERT,
    UPDATE (parts),
    DELETE
    ON counter TO "sendsmsnow_operator";
GRANT SELECT,
    INSERT,
    UPDATE (refusals, refused_parts, lifted_at),
    DELETE
    ON cap_trip TO "sendsmsnow_operator";
GRANT SELECT
    ON daily_count TO "sendsmsnow_operator";
GRANT SELECT
    ON period TO "sendsmsnow_operator";
GRANT SELECT (name, check_value),
    INSERT
    ON encryption_key TO "sendsmsnow_operator";
GRANT SELECT,
    INSERT (at, action, face, operator, network, account_id, account, facts)
    ON audit TO "sendsmsnow_operator";
GRANT USAGE
    ON SEQUENCE audit_id_seq TO "sendsmsnow_operator";

-- Who erases texts gives their pages back at once. PostgreSQL 17 knows that right;
-- before, it is the owner's, and autovacuum does so later.
DO $$ BEGIN
    IF current_setting('server_version_num')::int >= 170000 THEN
        GRANT MAINTAIN ON account, session, key_request, number, stop, message, delivery, received,
        incoming_part, early_receipt, counter, cap_trip
            TO "sendsmsnow_web", "sendsmsnow_worker", "sendsmsnow_operator";
    END IF;
END $$;
COMMIT;
