"""What providers and mail servers tell us after the hand-over: proved, read, made harmless. `receive` stores and applies it."""
