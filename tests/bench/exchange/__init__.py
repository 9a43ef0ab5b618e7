"""The part `exchange` of `make bench`: the matching core and the sequencer."""
