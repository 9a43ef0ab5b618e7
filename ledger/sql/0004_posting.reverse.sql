DO $$
BEGIN
    RAISE EXCEPTION 'Evidence that has been sealed in the new form is not turned back.'
        USING HINT = 'Restore a backup from before the upgrade.';
END $$;
