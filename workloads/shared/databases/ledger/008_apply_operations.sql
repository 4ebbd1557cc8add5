-- Up Migration

-- Applies a batch of operations in one call, each accepted or rejected on its own; later ones see the effects of earlier ones. A rejected
-- operation leaves nothing. Only a defect of the caller, or a race for an external id, fails the whole call.
--
-- An operation is a transaction with its lines, a hold that it places (hold_amount > 0) or ends (hold_amount < 0), or both. Decisions are
-- made in memory, in order, on one locked copy of the accounts; then each table is written by one statement.
--
-- Lock order: accounts by id, ascending, before anything else. Holds and reversals are decided by rows that change only under the lock of an
-- account that the operation names. External ids are inserted in ascending order after all accounts are locked.
--   accounts     every account that an operation names, once, ascending (COLLATE "C")
--   op_type      post, hold, settle, void or reverse
--   op_external_id, op_hold_key  the external id of a transaction, and of a hold; NULL for the others
--   op_first     position of the first operation of the batch with the same external id, else the operation's own
--   op_target    the hold that settle and void end, the transaction that reverse reverses
--   op_group     position of the first operation of the batch with the same target, else the operation's own
--   op_account   position in accounts of a hold's account
--   op_hold      minor units by which the held amount of op_account changes, 0 for none
--   line_*       lines of the operations, in order of operation: position of the operation, of the account, amount
-- Returns one row an operation: the id that it made, or that an earlier operation with the same external id made (replayed), or error_type
-- and the account that it concerns.
CREATE FUNCTION apply_operations(
  accounts text[], op_type text[], op_id uuid[], op_external_id text[], op_hold_key text[], op_hash text[], op_first int[], op_currency text[],
  op_value_date date[], op_target uuid[], op_group int[], op_account int[], op_hold bigint[], op_expires_at timestamptz[],
  line_op int[], line_account int[], line_amount bigint[]
) RETURNS TABLE (id uuid, replayed boolean, error_type text, account_id text) LANGUAGE plpgsql
SET search_path = public, pg_temp
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
#variable_conflict use_column
DECLARE
  -- Further amounts of at most 10^18 cannot overflow a bigint.
  most        CONSTANT bigint := 8000000000000000000;
  ops         CONSTANT int := cardinality(op_type);
  lines       CONSTANT int := cardinality(line_op);
  moment      timestamptz;
  row         record;
  -- The locked accounts; slot is the position among them of each entry of accounts, NULL for one that does not exist.
  found       text[];
  slot        int[];
  complete    boolean;
  currencies  text[];
  balances    bigint[];
  helds       bigint[];
  limits      bigint[];
  counts      bigint[];
  closed      boolean[];
  -- By op_first: who has the external id. By op_group: the state of the target.
  known_id    uuid[] := array_fill(NULL::uuid, ARRAY[ops]);
  known_hash  text[] := array_fill(NULL::text, ARRAY[ops]);
  target      text[] := array_fill(NULL::text, ARRAY[ops]);
  -- By operation: whether this call made it, and the result.
  r_new       boolean[] := array_fill(false, ARRAY[ops]);
  r_settled   bigint[] := array_fill(NULL::bigint, ARRAY[ops]);
  r_id        uuid[] := array_fill(NULL::uuid, ARRAY[ops]);
  r_replayed  boolean[] := array_fill(false, ARRAY[ops]);
  r_error     text[] := array_fill(NULL::text, ARRAY[ops]);
  r_account   text[] := array_fill(NULL::text, ARRAY[ops]);
  -- By line, of accepted operations.
  w_id        uuid[] := array_fill(NULL::uuid, ARRAY[lines]);
  w_line      smallint[] := array_fill(NULL::smallint, ARRAY[lines]);
  w_currency  text[] := array_fill(NULL::text, ARRAY[lines]);
  w_seq       bigint[] := array_fill(NULL::bigint, ARRAY[lines]);
  w_balance   bigint[] := array_fill(NULL::bigint, ARRAY[lines]);
  first_line  int;
  next_line   int := 1;
  applied     int;
  owner       int;
  a           int;
  h           int;
  failure     text;
  state       text;
  place       int;
  holds       int := 0;
  ends        int := 0;
BEGIN
  SELECT array_agg(l.id), array_agg(l.currency), array_agg(l.balance_minor), array_agg(l.held_minor), array_agg(l.min_balance_minor),
         array_agg(l.posting_count), array_agg(l.closed_at IS NOT NULL)
    INTO found, currencies, balances, helds, limits, counts, closed
    FROM (SELECT * FROM account acc WHERE acc.id = ANY (accounts) ORDER BY acc.id FOR NO KEY UPDATE) l;
  moment := clock_timestamp();
  complete := cardinality(found) IS NOT DISTINCT FROM cardinality(accounts);
  IF NOT complete THEN
    SELECT array_agg(array_position(found, x.id) ORDER BY x.ord) INTO slot FROM unnest(accounts) WITH ORDINALITY AS x (id, ord);
  END IF;

  -- Only rows that exist are visited, and they are rare: external ids that the database already has, targets, reversals of them.
  FOR row IN
    SELECT array_position(op_external_id, t.external_id) AS at, t.id, encode(t.content_hash, 'hex') AS hash FROM journal_transaction t
     WHERE t.external_id IS NOT NULL AND t.external_id = ANY (op_external_id)
    UNION ALL SELECT array_position(op_hold_key, k.external_id), k.id, encode(k.content_hash, 'hex') FROM hold k
     WHERE k.external_id = ANY (op_hold_key)
  LOOP
    known_id[row.at] := row.id;
    known_hash[row.at] := row.hash;
  END LOOP;
  IF op_type && ARRAY['settle', 'void', 'reverse'] THEN
    FOR row IN
      SELECT array_position(op_target, k.id) AS at,
             CASE WHEN k.state = 'pending' AND k.expires_at <= moment THEN 'expired' ELSE k.state END AS state
        FROM hold k WHERE k.id = ANY (op_target)
      UNION ALL SELECT array_position(op_target, t.reverses), 'reversed' FROM journal_transaction t
       WHERE t.reverses IS NOT NULL AND t.reverses = ANY (op_target)
    LOOP
      target[row.at] := row.state;
    END LOOP;
  END IF;

  FOR i IN 1..ops LOOP
    first_line := next_line;
    WHILE next_line <= lines AND line_op[next_line] = i LOOP next_line := next_line + 1; END LOOP;
    owner := op_first[i];
    IF known_id[owner] IS NOT NULL THEN
      IF known_hash[owner] = op_hash[i] THEN
        r_id[i] := known_id[owner];
        -- The call was repeated after its answer was lost: the operation is this one.
        r_replayed[i] := known_id[owner] <> op_id[i];
      ELSE
        r_error[i] := 'duplicate';
      END IF;
      CONTINUE;
    END IF;

    failure := NULL;
    a := NULL;
    state := target[op_group[i]];
    IF op_type[i] IN ('settle', 'void') THEN
      IF op_type[i] = 'void' AND state = 'voided' THEN
        r_id[i] := op_target[i];
        r_replayed[i] := true;
        CONTINUE;
      END IF;
      failure := CASE state WHEN 'pending' THEN NULL WHEN 'expired' THEN 'hold_expired' ELSE 'hold_not_pending' END;
      IF state IS NULL THEN failure := 'hold_not_found'; END IF;
    ELSIF op_type[i] = 'reverse' AND state = 'reversed' THEN
      failure := 'already_reversed';
    END IF;

    h := op_account[i];
    IF failure IS NULL AND h IS NOT NULL THEN
      a := h;
      IF NOT complete THEN h := slot[h]; END IF;
      failure := CASE WHEN h IS NULL THEN 'account_not_found' WHEN closed[h] THEN 'account_closed'
        WHEN currencies[h] <> op_currency[i] THEN 'currency_mismatch' WHEN helds[h] + op_hold[i] > most THEN 'balance_out_of_range' END;
    END IF;
    IF failure IS NULL THEN
      FOR j IN first_line..next_line - 1 LOOP
        a := line_account[j];
        place := CASE WHEN complete THEN a ELSE slot[a] END;
        IF place IS NULL THEN failure := 'account_not_found';
        ELSIF closed[place] THEN failure := 'account_closed';
        ELSIF currencies[place] <> op_currency[i] THEN failure := 'currency_mismatch';
        END IF;
        EXIT WHEN failure IS NOT NULL;
      END LOOP;
    END IF;
    IF failure IS NOT NULL THEN
      r_error[i] := failure;
      r_account[i] := accounts[a];
      CONTINUE;
    END IF;

    IF h IS NOT NULL THEN helds[h] := helds[h] + op_hold[i]; END IF;
    applied := first_line - 1;
    FOR j IN first_line..next_line - 1 LOOP
      place := CASE WHEN complete THEN line_account[j] ELSE slot[line_account[j]] END;
      balances[place] := balances[place] + line_amount[j];
      counts[place] := counts[place] + 1;
      w_seq[j] := counts[place];
      w_balance[j] := balances[place];
      applied := j;
      IF balances[place] > most OR balances[place] < -most THEN
        failure := 'balance_out_of_range';
        a := line_account[j];
        EXIT;
      END IF;
    END LOOP;
    -- The limit holds for the operation as a whole, so it is checked after its last line.
    IF failure IS NULL THEN
      FOR j IN first_line..next_line - 1 LOOP
        place := CASE WHEN complete THEN line_account[j] ELSE slot[line_account[j]] END;
        IF balances[place] - helds[place] < limits[place] THEN
          failure := 'insufficient_funds';
          a := line_account[j];
          EXIT;
        END IF;
      END LOOP;
      IF failure IS NULL AND h IS NOT NULL AND balances[h] - helds[h] < limits[h] THEN
        failure := 'insufficient_funds';
        a := op_account[i];
      END IF;
    END IF;
    IF failure IS NOT NULL THEN
      IF h IS NOT NULL THEN helds[h] := helds[h] - op_hold[i]; END IF;
      FOR j IN first_line..applied LOOP
        place := CASE WHEN complete THEN line_account[j] ELSE slot[line_account[j]] END;
        balances[place] := balances[place] - line_amount[j];
        counts[place] := counts[place] - 1;
        w_seq[j] := NULL;
      END LOOP;
      r_error[i] := failure;
      r_account[i] := accounts[a];
      CONTINUE;
    END IF;

    FOR j IN first_line..next_line - 1 LOOP
      w_id[j] := op_id[i];
      w_line[j] := j - first_line + 1;
      w_currency[j] := op_currency[i];
    END LOOP;
    r_new[i] := true;
    r_id[i] := CASE WHEN op_type[i] = 'void' THEN op_target[i] ELSE op_id[i] END;
    known_id[owner] := op_id[i];
    known_hash[owner] := op_hash[i];
    -- The last line of a settlement is what the other account gets.
    IF op_type[i] = 'settle' THEN r_settled[i] := line_amount[next_line - 1]; END IF;
    IF op_type[i] = 'hold' THEN
      holds := holds + 1;
    ELSIF op_target[i] IS NOT NULL THEN
      IF op_type[i] <> 'reverse' THEN ends := ends + 1; END IF;
      target[op_group[i]] := CASE op_type[i] WHEN 'settle' THEN 'settled' WHEN 'void' THEN 'voided' ELSE 'reversed' END;
    END IF;
  END LOOP;

  -- In this order no statement breaks a limit on the way to a state that keeps it: ended holds free amounts, new holds come last.
  IF ends > 0 THEN
    UPDATE hold k SET state = CASE o.type WHEN 'settle' THEN 'settled' ELSE 'voided' END, ended_at = moment, settled_minor = o.settled
      FROM (SELECT u.target, u.type, u.settled FROM unnest(op_target, op_type, r_settled, r_new) AS u (target, type, settled, made)
             WHERE u.made AND u.type IN ('settle', 'void')) o
     WHERE k.id = o.target;
  END IF;
  IF lines > 0 THEN
    INSERT INTO journal_transaction (id, kind, currency, value_date, external_id, content_hash, reverses, hold_id)
    SELECT u.id, CASE u.type WHEN 'post' THEN 'transfer' WHEN 'settle' THEN 'settlement' ELSE 'reversal' END, u.currency, u.value_date,
           u.external_id, decode(u.hash, 'hex'),
           CASE u.type WHEN 'reverse' THEN u.target END, CASE u.type WHEN 'settle' THEN u.target END
      FROM unnest(op_id, op_type, op_currency, op_value_date, op_external_id, op_hash, op_target, r_new)
             AS u (id, type, currency, value_date, external_id, hash, target, made)
     WHERE u.made AND u.type IN ('post', 'settle', 'reverse')
     ORDER BY u.external_id;
    INSERT INTO posting (transaction_id, line, account_id, currency, amount_minor, posted_at, account_seq, balance_after_minor)
    SELECT u.id, u.line, accounts[u.account], u.currency, u.amount, moment, u.seq, u.balance
      FROM unnest(w_id, w_line, line_account, w_currency, line_amount, w_seq, w_balance)
             AS u (id, line, account, currency, amount, seq, balance)
     WHERE u.id IS NOT NULL;
  END IF;
  IF holds > 0 THEN
    INSERT INTO hold (id, external_id, content_hash, account_id, currency, amount_minor, expires_at, created_at)
    SELECT u.id, u.external_id, decode(u.hash, 'hex'), accounts[u.account], u.currency, u.amount, u.expires_at, moment
      FROM unnest(op_id, op_type, op_hold_key, op_hash, op_account, op_currency, op_hold, op_expires_at, r_new)
             AS u (id, type, external_id, hash, account, currency, amount, expires_at, made)
     WHERE u.made AND u.type = 'hold'
     ORDER BY u.external_id;
  END IF;
  RETURN QUERY SELECT u.id, u.replayed, u.error, u.account
    FROM unnest(r_id, r_replayed, r_error, r_account) WITH ORDINALITY AS u (id, replayed, error, account, ord) ORDER BY u.ord;
END $$;
REVOKE EXECUTE ON FUNCTION apply_operations FROM PUBLIC;

-- Ends the oldest of the pending holds whose time is over, at most so many. Same lock order: their accounts by id, then the holds.
CREATE FUNCTION expire_holds(most int) RETURNS int LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
  due     uuid[];
  expired int;
BEGIN
  SELECT array_agg(d.id) INTO due
    FROM (SELECT h.id FROM hold h WHERE h.state = 'pending' AND h.expires_at <= now() ORDER BY h.expires_at LIMIT most) d;
  IF due IS NULL THEN RETURN 0; END IF;
  PERFORM FROM account a WHERE a.id IN (SELECT h.account_id FROM hold h WHERE h.id = ANY (due)) ORDER BY a.id FOR NO KEY UPDATE;
  UPDATE hold SET state = 'expired', ended_at = clock_timestamp() WHERE id = ANY (due) AND state = 'pending';
  GET DIAGNOSTICS expired = ROW_COUNT;
  RETURN expired;
END $$;
REVOKE EXECUTE ON FUNCTION expire_holds FROM PUBLIC;

-- Down Migration

DROP FUNCTION apply_operations, expire_holds;
