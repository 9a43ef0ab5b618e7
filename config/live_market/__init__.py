"""Bots that keep a small market alive beside `make run`: what they do, anyone could do through the same doors."""
