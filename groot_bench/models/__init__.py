"""GR00T N1.5, N1.6 and N1.7: configuration, networks, weights and data processing."""
