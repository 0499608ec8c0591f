"""What use cases and loops share: recording changes, signing, waking each other."""
