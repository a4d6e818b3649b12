"""Pages that need no sign-in. So far only the addresses at which providers tell us what became of letters."""
