"""What the market shows of itself over time: candles, statistics, and a replica of the book that a client can keep."""
