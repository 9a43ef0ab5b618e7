"""From the line of waiting commands to durable results: one writer, one transaction a batch."""
