-- What was put aside is written down by whoever may put it aside, the owner, and by nobody else.
SELECT make_append_only('settlement_detachedday');
REVOKE INSERT ON settlement_detachedday FROM tokenbourse_app;
