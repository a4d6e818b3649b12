"""What the gate before a release looks at: the provider, the sender's domain, this machine."""
