"""The composition root: environment, settings, clock, addresses, processes. Imports anything; nobody imports it."""
