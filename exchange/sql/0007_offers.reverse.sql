UPDATE exchange_offer SET state = 'withdrawn' WHERE state = 'paused';
