"""One whole trading day on real usage, through the doors that everyone uses."""
