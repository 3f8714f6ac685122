"""Bookings of the salon; the book itself is in salon_book.py."""

from .salon_book import Booking, book, cancel, free_chairs

__all__ = ["Booking", "book_chair", "cancel", "free_chairs"]

book_chair = book
