-- Offers from before stand under the terms of today; each of their orders is known to them.
UPDATE exchange_offer AS standing
   SET terms_id = (SELECT id FROM exchange_productterms
                    WHERE product_id = standing.product_id ORDER BY version DESC LIMIT 1);
INSERT INTO exchange_offerorder (order_id, offer_id, contract_id, replaceable)
SELECT seq, (payload ->> 'offer_id')::bigint, contract_id, false
  FROM exchange_intake WHERE kind = 'place_order' AND payload ->> 'offer_id' IS NOT NULL;
REVOKE DELETE ON exchange_offerorder FROM tokenbourse_app;
REVOKE UPDATE ON exchange_offerorder FROM tokenbourse_app;
GRANT UPDATE (replaceable) ON exchange_offerorder TO tokenbourse_app;
