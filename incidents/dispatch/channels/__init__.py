"""Channels: where a letter is handed over. One file a kind of provider; `contract` says what each must offer."""
