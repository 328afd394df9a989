"""Tries to break it: each chapter in one way, and each says which promises it saw broken."""
