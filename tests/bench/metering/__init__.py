"""What taking usage in costs, and what summing it up does."""
