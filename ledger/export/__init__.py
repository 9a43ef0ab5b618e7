"""The journal for tools that are not ours, so that anyone can recompute every balance."""
