"""What a change of an agent changes: in what is sent, and in how it behaves."""
