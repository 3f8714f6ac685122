"""What a call leaves on disk: written as it happens, read again by later versions."""
