CREATE OR REPLACE FUNCTION ledger_signing_key_guard() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    IF (NEW.kid, NEW.public_jwk, NEW.private_key_encrypted) IS DISTINCT FROM
       (OLD.kid, OLD.public_jwk, OLD.private_key_encrypted)
       OR (OLD.state, NEW.state) NOT IN (('next', 'current'), ('next', 'revoked'), ('current', 'retired'),
                                         ('retired', 'revoked')) THEN
        RAISE EXCEPTION 'signing key % is % and cannot become %', OLD.kid, OLD.state, NEW.state
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'signing_key_moves_forward';
    END IF;
    RETURN NEW;
END $$;
