"""`make bench`: what the product does a second, beside a baseline measured in the same run. Not part of `make test`."""
