DELETE FROM exchange_sequencerstate;
DROP TRIGGER append_only ON exchange_productterms;
DROP TRIGGER append_only ON exchange_capacitydeclaration;
DROP TRIGGER append_only ON exchange_capacityallocation;
DROP TRIGGER append_only ON exchange_intake;
DROP TRIGGER append_only ON exchange_intakeresult;
DROP TRIGGER append_only ON exchange_sequencerbatch;
DROP TRIGGER append_only ON exchange_fill;
