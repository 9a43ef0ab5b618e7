"""The recorded history decided a second time, into an empty database, and compared with what was recorded.

`history` gives what happened in the order of the ledger head's versions; `facts` what commands saw that is not under
the head; `rerun` lets it happen again, by the sequencer's and the ledger's own code; `compare` looks for the first
difference; `second_database` is where all that takes place.
"""
