"""The declared table's second half: what an own notification or device may become."""

from tests.rules import attempts
from tests.rules.allowed import (
    ADDED,
    DEVICE_PATH,
    EARLIER,
    LONGEST,
    MARKED,
    MOVED,
    NEW_DEVICE,
    NOTE_PATH,
    OLD_DEVICE,
    OWN,
    READ,
    SEEN,
    SHORTEST,
    UNREAD,
    added,
)
from tests.rules.attempts import NOW, Attempt, Fields, changing, commit, creating, setting
from tests.rules.pairs import beside

# ---------------------------------------------------------------- notifications


def _marking(fields: Fields, before: Fields = UNREAD, removed: tuple[str, ...] = ()) -> Attempt:
    return MARKED.but(commit(changing(NOTE_PATH, fields, removed)), {NOTE_PATH: before})


_SEEN = {"is_read": True, "read_time": EARLIER}

NOTIFICATIONS = beside(
    MARKED,
    nothing_is_marked_as_unread=_marking({"is_read": False, "read_time": NOW}, _SEEN),
    nothing_is_marked_as_read_twice=_marking(READ, _SEEN),
    what_stays_unread_gets_no_read_time=_marking({"read_time": NOW}),
    a_read_time_is_not_made_up=_marking({"is_read": True, "read_time": EARLIER}),
    a_read_time_is_not_left_out=_marking({"is_read": True}),
    a_read_time_is_not_removed=_marking({"is_read": True}, removed=("read_time",)),
    is_read_is_no_text=_marking({"is_read": "true", "read_time": NOW}),
    is_read_is_no_number=_marking({"is_read": 1, "read_time": NOW}),
    a_title_is_not_changed=_marking({**READ, "title": "Prize"}),
    a_title_is_not_removed=_marking(READ, removed=("title",)),
    nothing_is_added_to_a_notification=_marking({**READ, "url": "https://example.test"}),
    a_notification_is_not_replaced=MARKED.but(commit(setting(NOTE_PATH, READ))),
    no_one_notifies_themself=MARKED.but(commit(creating(NOTE_PATH, {**UNREAD, **READ})), {}),
    no_one_notifies_another=MARKED.but(
        commit(creating("users/{other}/notifications/{new}", UNREAD)), {}
    ),
)

# ---------------------------------------------------------------- devices


def _adding(without: str = "", **other: object) -> Attempt:
    fields = {**NEW_DEVICE, **other}
    fields.pop(without, None)
    return ADDED.but(commit(creating(DEVICE_PATH, fields)))


def _moving(fields: Fields, removed: tuple[str, ...] = ()) -> Attempt:
    return MOVED.but(commit(changing(DEVICE_PATH, fields, removed)))


DEVICES = [
    *beside(
        ADDED,
        a_device_has_no_other_fields=_adding(is_trusted=True),
        a_device_has_a_platform=_adding(without="platform"),
        a_device_has_a_known_platform=_adding(platform="windows"),
        a_platform_is_a_text=_adding(platform=1),
        a_device_has_a_token=_adding(without="token"),
        a_token_is_the_name_of_its_document=_adding(token="{new}x"),
        a_token_is_a_text=_adding(token=1),
        a_device_has_a_create_time=_adding(without="create_time"),
        a_create_time_is_not_made_up=_adding(create_time=EARLIER),
        a_create_time_is_no_text=_adding(create_time="now"),
        a_device_has_an_update_time=_adding(without="update_time"),
        an_update_time_is_not_made_up=_adding(update_time=EARLIER),
        a_device_is_not_added_by_post=ADDED.but(
            attempts.post(f"{OWN}/devices", "{new}", {**OLD_DEVICE})
        ),
        a_token_has_no_other_characters=added("{new}.{new}"),
        a_token_does_not_begin_with_a_hyphen=added("-{new}"),
        nothing_lies_below_a_device=ADDED.but(
            commit(creating(f"{DEVICE_PATH}/devices/{{new}}", NEW_DEVICE))
        ),
    ),
    *beside(SHORTEST, a_token_has_at_least_16_characters=added("{fifteen}")),
    *beside(LONGEST, a_token_has_at_most_1000_characters=added("{thousand}A")),
    *beside(
        MOVED,
        a_move_is_not_backdated=_moving({"platform": "web", "update_time": EARLIER}),
        a_move_is_timed=_moving({"platform": "web"}),
        a_device_moves_to_a_known_platform=_moving({"platform": "windows", "update_time": NOW}),
        a_device_keeps_a_platform=_moving({"update_time": NOW}, removed=("platform",)),
        a_device_keeps_its_token=_moving({"token": "{new}x", "update_time": NOW}),
        a_device_keeps_its_create_time=_moving(
            {"create_time": EARLIER.replace(year=2023), "update_time": NOW}
        ),
        a_device_loses_no_field=_moving({"update_time": NOW}, removed=("create_time",)),
        nothing_is_added_to_a_device=_moving({"is_trusted": True, "update_time": NOW}),
        a_device_is_not_replaced=MOVED.but(commit(setting(DEVICE_PATH, NEW_DEVICE))),
    ),
    *beside(
        SEEN, a_device_is_not_seen_in_the_past=_moving({"update_time": EARLIER.replace(year=2023)})
    ),
]
