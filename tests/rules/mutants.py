"""The rules with one thing wrong each, and the pair of the table that must notice it.

A mutant is made from the text of the rules: from where `after` stands, the
first `old` becomes `new`.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Mutant:
    name: str
    after: str
    old: str
    new: str
    noticed_by: str
    """The pair that no longer holds."""

    def of(self, rules: str) -> str:
        """Fails when the rules no longer say what this mutant is made from."""
        head, start, rest = rules.partition(self.after)
        assert start, f"{self.name}: the rules don't say {self.after!r}"
        assert self.old in rest, f"{self.name}: the rules don't say {self.old!r} there"
        return head + start + rest.replace(self.old, self.new, 1)


def _of(after: str, *changes: tuple[str, str, str, str]) -> list[Mutant]:
    return [Mutant(name, after, *change) for name, *change in changes]


_SELF = "isActiveSelf(uid)"
_ANYBODY = "request.auth != null"
_GRANT = "/databases/$(database)/documents/patients/$(uid)/access_grants/$(request.auth.uid)"
_SELF_OR_TEAM = f"({_SELF} || exists({_GRANT}))"

MUTANTS = [
    *_of(
        "match /users/{uid} {",
        ("anybody reads accounts", _SELF, _ANYBODY, "an account is refused to other"),
        ("accounts are listed", "get:", "read:", "not even the own account is queried"),
        ("accounts are updated", "get:", "get, update:", "no one changes their role"),
        (
            "accounts are created",
            "allow",
            "allow create: if request.auth.uid == uid; allow",
            "no one makes their account",
        ),
        ("accounts are deleted", "get:", "get, delete:", "no one deletes their account"),
    ),
    *_of(
        "match /notifications/{notification} {",
        ("anybody reads notifications", _SELF, _ANYBODY, "a notification is refused to other"),
        (
            "notifications are created",
            "allow",
            f"allow create: if {_SELF}; allow",
            "no one notifies themself",
        ),
        ("notifications are deleted", "read:", "read, delete:", "no one deletes a notification"),
        ("any change to notifications", " && marksAsReadNow()", "", "a title is not changed"),
        (
            "anybody marks as read",
            f"{_SELF} && marks",
            "marks",
            "marking as read is refused to other",
        ),
    ),
    *_of(
        "match /devices/{token} {",
        (
            "anybody reads and deletes devices",
            _SELF,
            _ANYBODY,
            "removing a device is refused to other",
        ),
        (
            "devices are not deleted",
            "read, delete:",
            "read:",
            "removing a device is refused to other",
        ),
        ("anybody adds devices", f"{_SELF} && adds", "adds", "adding a device is refused to other"),
        ("any new device", " && addsDeviceNow(token)", "", "a device has no other fields"),
        (
            "anybody moves devices",
            f"{_SELF} && changes",
            "changes",
            "changing a device is refused to other",
        ),
        ("any change to devices", " && changesPlatformNow()", "", "a device keeps its token"),
        (
            "devices at any depth",
            "allow",
            "match /{below=**} { allow write; } allow",
            "nothing lies below a device",
        ),
    ),
    *_of(
        "match /doctors/{uid} {",
        ("anybody reads profiles", _SELF, _ANYBODY, "a doctor's profile is refused to other"),
        ("profiles are listed", "get:", "read:", "not even the own profile is queried"),
        ("profiles are written", "get:", "get, write:", "no doctor verifies themself"),
        (
            "all below a profile",
            "allow",
            "match /{below=**} { allow read; } allow",
            "a patient reads no doctors/{owner}/reviews",
        ),
    ),
    *_of(
        "match /patients/{uid} {",
        ("anybody reads records", _SELF, _ANYBODY, "a patient's record is refused to other"),
        ("records are listed", "get:", "read:", "not even the own record is queried"),
        ("records are changed", "get:", "get, update:", "no one restores their record"),
        ("records are deleted", "get:", "get, delete:", "no one deletes their record"),
        (
            "records are made",
            "allow",
            f"allow create: if {_SELF}; allow",
            "no one makes their record",
        ),
        (
            "all below a record",
            "allow",
            "match /{below=**} { allow read; } allow",
            "a patient reads no patients/{owner}/access_grants",
        ),
        (
            "care teams read records",
            _SELF,
            _SELF_OR_TEAM,
            "a doctor on the care team reads no record",
        ),
        (
            "doctors read their grants",
            "allow",
            "match /access_grants/{doctor} { allow get: if request.auth.uid == doctor; } allow",
            "a doctor on the care team reads no patients/{owner}/access_grants",
        ),
        (
            "administrators change records",
            "allow",
            "allow update: if request.auth.token.role == 'admin'; allow",
            "no administrator restores a record",
        ),
        (
            "entries at any depth",
            "{record}",
            "{record=**}",
            "nothing lies below an entry",
        ),
    ),
    *_of(
        "match /history/{record} {",
        ("anybody reads entries", _SELF, _ANYBODY, "an entry of a history is refused to other"),
        ("entries are not queried", "read:", "get:", "histories are not queried across patients"),
        (
            "care teams read entries",
            _SELF,
            _SELF_OR_TEAM,
            "a doctor on the care team reads no entry",
        ),
        (
            "administrators amend entries",
            "allow",
            "allow update: if request.auth.token.role == 'admin'; allow",
            "no administrator amends an entry",
        ),
        ("entries are amended", "read:", "read, update:", "no one amends an entry"),
        ("entries are made", "read:", "read, create:", "no one makes an entry"),
        ("entries are deleted", "read:", "read, delete:", "no one deletes an entry"),
        (
            "versions are read",
            "allow",
            f"match /versions/{{version}} {{ allow read: if {_SELF}; }} allow",
            "nothing lies below an entry",
        ),
    ),
    *_of(
        "match /appointments/{appointment} {",
        (
            "anybody reads appointments",
            "isActiveSelf(resource.data.patient_id)",
            _ANYBODY,
            "an appointment is refused to other",
        ),
        (
            "doctors read any appointment",
            "isActiveSelf(resource.data.doctor_id)",
            "isActiveSelf(request.auth.uid)",
            "a stranger reads no doctors appointment",
        ),
        (
            "unverified doctors read appointments",
            " && practises(resource.data.doctor_id)",
            "",
            "an unverified doctor reads no appointment",
        ),
        (
            "appointments are not queried",
            "read:",
            "get:",
            "appointments are not queried whole",
        ),
        ("appointments are changed", "read:", "read, update:", "no patient cancels past the api"),
        (
            "any new appointment",
            "allow",
            f"allow create: if {_ANYBODY}; allow",
            "no patient books past the api",
        ),
        ("appointments are deleted", "read:", "read, delete:", "no patient deletes an appointment"),
        (
            "all below an appointment",
            "allow",
            f"match /{{below=**}} {{ allow read: if {_ANYBODY}; }} allow",
            "nothing lies below an appointment",
        ),
    ),
    *_of(
        "match /transcriptions/{transcription} {",
        (
            "anybody reads recordings",
            "isActiveSelf(resource.data.patient_id)",
            _ANYBODY,
            "a recording is refused to other",
        ),
        (
            "doctors read any recording",
            "isActiveSelf(resource.data.author_uid)",
            "isActiveSelf(request.auth.uid)",
            "a stranger reads no doctors recording",
        ),
        (
            "who recorded reads for ever",
            " && cares(resource.data.author_uid, resource.data.patient_id)",
            "",
            "a doctor off the team reads no recording",
        ),
        ("recordings are not queried", "read:", "get:", "recordings are not queried whole"),
        ("recordings are changed", "read:", "read, update:", "no patient changes a recording"),
        (
            "any new recording",
            "allow",
            f"allow create: if {_ANYBODY}; allow",
            "no patient announces past the api",
        ),
        ("recordings are deleted", "read:", "read, delete:", "no patient deletes a recording"),
        (
            "all below a recording",
            "allow",
            f"match /{{below=**}} {{ allow read: if {_ANYBODY}; }} allow",
            "nothing that was said is read",
        ),
    ),
    *_of(
        "match /medical_images/{image} {",
        (
            "anybody reads images",
            "isActiveSelf(resource.data.patient_id)",
            _ANYBODY,
            "an image is refused to other",
        ),
        (
            "doctors read any image",
            "isActiveSelf(resource.data.author_uid)",
            "isActiveSelf(request.auth.uid)",
            "a stranger reads no doctors image",
        ),
        (
            "who sent an image reads it for ever",
            " && cares(resource.data.author_uid, resource.data.patient_id)",
            "",
            "a doctor off the team reads no image",
        ),
        ("images are not queried", "read:", "get:", "images are not queried whole"),
        ("images are changed", "read:", "read, update:", "no patient changes an image"),
        (
            "any new image",
            "allow",
            f"allow create: if {_ANYBODY}; allow",
            "no patient announces an image past the api",
        ),
        ("images are deleted", "read:", "read, delete:", "no patient deletes an image"),
        (
            "all below an image",
            "allow",
            f"match /{{below=**}} {{ allow read: if {_ANYBODY}; }} allow",
            "nothing that was found in an image is read",
        ),
    ),
    *_of(
        "function cares(uid, patient) {",
        (
            "unverified doctors read recordings",
            "practises(uid) && ",
            "",
            "an unverified doctor reads no recording",
        ),
    ),
    *_of(
        "function isGranted(grant) {",
        (
            "visits last for ever",
            "grant.get('visits_until', 0) * 1000 > request.time.toMillis()",
            "grant.get('visits_until', 0) > 0",
            "a visit long ago is none",
        ),
        (
            "visits do not count",
            "grant.get('visits_until', 0) * 1000 > request.time.toMillis()",
            "false",
            "a visit long ago is none",
        ),
        (
            "emergencies last for ever",
            "lasts(grant.get('break_glass_until', null))",
            "grant.get('break_glass_until', null) != null",
            "an emergency that is over is none",
        ),
        (
            "emergencies do not count",
            "lasts(grant.get('break_glass_until', null))",
            "false",
            "an emergency that is over is none",
        ),
    ),
    *_of(
        "function isOnTeam(grant) {",
        (
            "any grant counts",
            "grant.get('is_on_care_team', false) == true",
            "true",
            "a doctor off the team reads no recording",
        ),
        (
            "grants last for ever",
            " || lasts(grant.care_team_until)",
            " || true",
            "a grant that ended is none",
        ),
        (
            "grants with an end do not count",
            " || lasts(grant.care_team_until)",
            "",
            "a grant that ended is none",
        ),
    ),
    *_of(
        "function practises(uid) {",
        (
            "verification does not count",
            "practice.is_verified == true && ",
            "",
            "an unverified doctor reads no appointment",
        ),
        (
            "removal does not count",
            " && practice.is_active == true",
            "",
            "a demoted doctor reads no appointment",
        ),
    ),
    *_of(
        "match /databases/{database}/documents {",
        (
            "signed in is enough to read",
            "",
            "match /{all=**} { allow read: if request.auth != null; }",
            "an administrator reads no audit_events",
        ),
        (
            "anything may be written",
            "",
            "match /{all=**} { allow write; }",
            "one refused write spoils the others",
        ),
        (
            "groups are queried",
            "",
            "match /{path=**}/notifications/{id} { allow read: if request.auth != null; }",
            "notifications are not queried across people",
        ),
        (
            "histories are queried across patients",
            "",
            "match /{path=**}/history/{id} { allow read: if request.auth != null; }",
            "histories are not queried across patients",
        ),
        (
            "patients read their keys",
            "",
            f"match /patient_keys/{{uid}} {{ allow get: if {_SELF}; }}",
            "a patient reads no patient_keys",
        ),
        (
            "administrators may all",
            "",
            "match /{all=**} { allow read: if request.auth.token.role == 'admin'; }",
            "an account is refused to admin",
        ),
    ),
    *_of(
        "function isActiveSelf(uid) {",
        ("only nobody", "!= null", "== null", "an account is refused to other"),
        ("whoever they are", " && request.auth.uid == uid", "", "an account is refused to other"),
        ("self or active", "uid && is", "uid || is", "an account is refused once deactivated"),
        ("active or not", " && isActive(uid)", "", "an account is refused once switched_off"),
    ),
    *_of(
        "function isActive(uid) {",
        ("only inactive ones", "== true", "!= true", "an account is refused once switched_off"),
        (
            "switched off or not",
            "account.is_active == true && ",
            "",
            "an account is refused once switched_off",
        ),
        (
            "active or signed in",
            "true && signed",
            "true || signed",
            "an account is refused once signed_out",
        ),
        (
            "sessions never end",
            " && signedInAfter(account.get('tokens_valid_after', null))",
            "",
            "an account is refused once signed_out",
        ),
        (
            "the end of sessions is required",
            ".get('tokens_valid_after', null)",
            ".tokens_valid_after",
            "an account without a profile is not active",
        ),
    ),
    *_of(
        "function signedInAfter(moment) {",
        ("never signed out is void", "== null", "!= null", "an account is refused to other"),
        (
            "the very second is valid",
            "> moment",
            ">= moment",
            "a sign in on the second of the sign out is void",
        ),
        (
            "seconds are rounded up",
            "auth_time *",
            "auth_time * 1000 + 999 > moment.toMillis() || 0 *",
            "a sign in within the second of the sign out is void",
        ),
        ("time runs backwards", "> moment", "< moment", "an account is refused once signed_out"),
        (
            "seconds taken for milliseconds",
            " * 1000",
            "",
            "a sign in within the second of the sign out is void",
        ),
    ),
    *_of(
        "function marksAsReadNow() {",
        (
            "other fields of notifications",
            "changesOnly(['is_read', 'read_time'])",
            "true",
            "a title is not changed",
        ),
        ("a title changes too", "'read_time'", "'read_time', 'title'", "a title is not changed"),
        ("read twice", "resource.data.is_read == false", "true", "nothing is marked as read twice"),
        ("marked as unread", "== true", "!= true", "marking as read is refused to other"),
        (
            "marked as anything",
            "request.resource.data.is_read == true",
            "true",
            "what stays unread gets no read time",
        ),
        (
            "a false read time",
            "request.resource.data.read_time == request.time",
            "true",
            "a read time is not made up",
        ),
    ),
    *_of(
        "function addsDeviceNow(token) {",
        (
            "other fields of devices",
            "device.keys().hasOnly(['token', 'platform', 'create_time', 'update_time'])",
            "true",
            "a device has no other fields",
        ),
        (
            "any name of devices",
            "token.matches(",
            "true || token.matches(",
            "a token has no other characters",
        ),
        ("any first character", "^[A-Za-z0-9]", "^.", "a token does not begin with a hyphen"),
        ("shorter tokens", "{15,", "{14,", "a token has at least 16 characters"),
        ("longer tokens", "{15,999}", "+", "a token has at most 1000 characters"),
        ("no hyphens in tokens", "\\\\-]", "]", "a token has at most 1000 characters"),
        (
            "another token inside",
            "device.token == token",
            "true",
            "a token is the name of its document",
        ),
        ("any platform", "isPlatform(device.platform)", "true", "a device has a known platform"),
        (
            "a false create time",
            "device.create_time == request.time",
            "true",
            "a create time is not made up",
        ),
        (
            "a false update time",
            "device.update_time == request.time",
            "true",
            "an update time is not made up",
        ),
    ),
    *_of(
        "function changesPlatformNow() {",
        (
            "other fields change",
            "changesOnly(['platform', 'update_time'])",
            "true",
            "a device keeps its token",
        ),
        (
            "the create time changes",
            "'update_time'",
            "'update_time', 'create_time'",
            "a device keeps its create time",
        ),
        (
            "to any platform",
            "isPlatform(request.resource.data.platform)",
            "true",
            "a device moves to a known platform",
        ),
        (
            "at any time",
            "request.resource.data.update_time == request.time",
            "true",
            "a move is timed",
        ),
    ),
    *_of(
        "function isPlatform(value) {",
        ("one platform more", "'ios'", "'ios', 'windows'", "a device has a known platform"),
        ("one platform less", "'ios', ", "", "adding a device is refused to other"),
    ),
    *_of(
        "function changesOnly(fields) {",
        ("some of the fields at least", "hasOnly", "hasAny", "a title is not changed"),
        ("only added fields count", "affectedKeys", "addedKeys", "a title is not changed"),
    ),
]
