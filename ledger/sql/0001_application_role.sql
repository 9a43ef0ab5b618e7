-- Least privilege from the first table on: the application reads and writes rows, the owner defines them.
-- Tables that need less (append-only, balances) revoke it again where they are made.
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'tokenbourse_app') THEN
        RAISE EXCEPTION 'The role tokenbourse_app does not exist.'
            USING HINT = 'A database administrator creates it once; README, section "Your own PostgreSQL", has the commands.';
    END IF;
END $$;
GRANT USAGE ON SCHEMA public TO tokenbourse_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO tokenbourse_app;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO tokenbourse_app;
REVOKE INSERT, UPDATE, DELETE ON django_migrations FROM tokenbourse_app;
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO tokenbourse_app;
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT USAGE ON SEQUENCES TO tokenbourse_app;
