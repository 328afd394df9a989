"""Where schedules, appointments and the waitlist lie in Firestore."""

from common.firestore import Collection
from common.scheduling import (
    Appointment,
    BookedDay,
    BookedSlot,
    CalendarFeed,
    Practice,
    Review,
    WaitlistEntry,
)

practices = Collection(Practice, "doctors")
appointments = Collection(Appointment, "appointments")
booked_slots = Collection(BookedSlot, "doctors/{}/booked")
booked_days = Collection(BookedDay, "patients/{}/booked")
waitlist = Collection(WaitlistEntry, "waitlist")
reviews = Collection(Review, "doctors/{}/reviews")
feeds = Collection(CalendarFeed, "calendar_feeds")
