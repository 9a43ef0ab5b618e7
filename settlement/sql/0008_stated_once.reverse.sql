DROP INDEX statement_stated_once;
