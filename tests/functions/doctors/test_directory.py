"""The public directory: filters, names, order, pages, caching."""

import secrets
from typing import Any

import pytest

from common.firestore import Batch, Collection
from common.models import Doctor
from local.platform import Platform
from tests.client import Api, Person, a_listed_doctor
from tests.recorder import Recorder

doctors = Collection(Doctor, "doctors")


@pytest.fixture(scope="module")
async def town(api: Api, admin: Person) -> str:
    """A town of its own, with five doctors."""
    name = f"Town {secrets.token_hex(4)}"

    async def doctor(display: str, specialty: str, languages: list[str], accepts: bool) -> None:
        await a_listed_doctor(
            api,
            admin,
            name=display,
            specialties=[specialty],
            languages=languages,
            is_accepting_patients=accepts,
            location={"address": "1 Main St", "city": name, "country": "MX"},
        )

    await doctor(f"Dr. Ana García {name}", "cardiology", ["es-MX"], True)
    await doctor(f"Dr. Zoë Müller {name}", "cardiology", ["de", "en"], False)
    await doctor(f"Dr. 王小明 {name}", "dermatology", ["zh"], True)
    await doctor(f"Dr. محمد الأحمد {name}", "pediatrics", ["ar", "en"], True)
    await doctor(f"Dr. Ana Lucía Peña {name}", "dermatology", ["es", "en"], True)
    return name


async def names(api: Api, town: str, **params: Any) -> list[str]:
    answer = await api.get("/v1/doctors", params={"city": town, **params})
    assert answer.status_code == 200, answer.text
    return [
        item["name"].removeprefix("Dr. ").removesuffix(f" {town}")
        for item in answer.json()["items"]
    ]


ANA, ZOE, WANG, MOHAMMED, ANA_LUCIA = (
    "Ana García", "Zoë Müller", "王小明", "محمد الأحمد", "Ana Lucía Peña",
)  # fmt: skip


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({}, {ANA, ZOE, WANG, MOHAMMED, ANA_LUCIA}),
        ({"specialty": "cardiology"}, {ANA, ZOE}),
        ({"language": "es"}, {ANA, ANA_LUCIA}),
        ({"language": "es-MX"}, {ANA}),
        ({"language": "en"}, {ZOE, MOHAMMED, ANA_LUCIA}),
        ({"accepting_patients": "true"}, {ANA, WANG, MOHAMMED, ANA_LUCIA}),
        ({"accepting_patients": "false"}, {ZOE}),
        ({"specialty": "dermatology", "language": "en"}, {ANA_LUCIA}),
        ({"specialty": "cardiology", "language": "de", "accepting_patients": "true"}, set()),
        ({"q": "ana"}, {ANA, ANA_LUCIA}),
        ({"q": "ANA GAR"}, {ANA}),
        ({"q": "pena"}, {ANA_LUCIA}),
        ({"q": "Pen\u0303a"}, {ANA_LUCIA}),
        ({"q": "mull"}, {ZOE}),
        ({"q": "dr. zoe"}, {ZOE}),
        ({"q": "王小"}, {WANG}),
        ({"q": "محمد"}, {MOHAMMED}),
        ({"q": "ana", "specialty": "dermatology"}, {ANA_LUCIA}),
        ({"q": "ña"}, set()),
        ({"q": "!!!"}, set()),
    ],
)
async def test_filters_and_name_find_exactly_these(
    api: Api, town: str, params: dict[str, str], expected: set[str]
) -> None:
    assert set(await names(api, town, **params)) == expected


async def test_the_order_is_by_name_without_regard_to_accents(api: Api, town: str) -> None:
    found = await names(api, town)
    assert found[:3] == [ANA, ANA_LUCIA, ZOE]


async def test_the_order_by_rating_begins_with_the_best(api: Api, admin: Person, town: str) -> None:
    found = await doctors.find(where=[("location.city", "==", town)], limit=9)
    batch = Batch()
    for rank, doctor in enumerate(sorted(found, key=lambda d: d.name)):
        fields = {"rating_sum": 4 * rank, "rating_count": rank, "rating_rank": float(rank)}
        batch.update(doctors.path(doctor.id), fields)
    await batch.commit()
    answer = await api.get("/v1/doctors", params={"city": town, "sort": "rating"})
    counts = [item["rating"]["count"] for item in answer.json()["items"]]
    averages = [item["rating"]["average"] for item in answer.json()["items"]]
    assert counts == [4, 3, 2, 1, 0]
    assert averages == [4.0, 4.0, None, None, None]  # hidden under three


async def test_a_city_is_found_however_it_is_spelled(api: Api, town: str) -> None:
    assert len(await names(api, town.upper())) == 5


async def test_pages_together_are_the_whole_list(api: Api, town: str) -> None:
    whole = await names(api, town)
    pages: list[str] = []
    token = None
    while True:
        params = {"city": town, "page_size": 2, **({"page_token": token} if token else {})}
        answer = (await api.get("/v1/doctors", params=params)).json()
        pages += [
            item["name"].removeprefix("Dr. ").removesuffix(f" {town}") for item in answer["items"]
        ]
        token = answer["next_page_token"]
        if token is None:
            break
    assert pages == whole


async def test_by_specialty_is_the_same_as_the_filter(api: Api, town: str) -> None:
    one = await api.get("/v1/doctors/by-specialty/dermatology", params={"city": town})
    other = await api.get("/v1/doctors", params={"city": town, "specialty": "dermatology"})
    assert one.json()["items"] == other.json()["items"] != []


async def test_a_page_costs_its_rows_and_one(api: Api, town: str, recorder: Recorder) -> None:
    with recorder.counting() as counted:
        await api.get("/v1/doctors", params={"city": town, "page_size": 2})
    assert (counted.reads, counted.writes) == (3, 0)


async def test_a_name_search_with_filters_reads_a_bounded_number(
    api: Api, town: str, recorder: Recorder
) -> None:
    with recorder.counting() as counted:
        await api.get("/v1/doctors", params={"q": "dr", "specialty": "urology", "page_size": 1})
    assert counted.reads <= 10


@pytest.mark.parametrize(
    ("params", "pointer"),
    [
        ({"specialty": "astrology"}, "?specialty"),
        ({"page_size": "0"}, "?page_size"),
        ({"page_size": "101"}, "?page_size"),
        ({"page_size": "many"}, "?page_size"),
        ({"language": "Spanish"}, "?language"),
        ({"accepting_patients": "perhaps"}, "?accepting_patients"),
        ({"sort": "price"}, "?sort"),
        ({"q": ""}, "?q"),
        ({"colour": "red"}, "?colour"),
    ],
)
async def test_a_bad_filter_is_named(api: Api, params: dict[str, str], pointer: str) -> None:
    answer = await api.get("/v1/doctors", params=params)
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]


async def test_a_page_token_is_good_for_its_own_list_only(api: Api, town: str) -> None:
    params: dict[str, Any] = {"city": town, "page_size": 1}
    token = (await api.get("/v1/doctors", params=params)).json()["next_page_token"]
    altered = token[:-2] + ("AA" if not token.endswith("AA") else "BB")
    for bad in (
        {**params, "page_token": altered},
        {**params, "page_token": "garbage"},
        {**params, "page_token": "ы"},
        {**params, "page_token": token, "sort": "rating"},
        {**params, "page_token": token, "language": "en"},
        {**params, "page_token": token, "q": "ana"},
    ):
        answer = await api.get("/v1/doctors", params=bad)
        assert answer.status_code == 400, bad
        assert answer.json()["type"] == "urn:healthhub:problem:page-token-invalid"
    assert town not in token
    assert (await api.get("/v1/doctors", params={**params, "page_token": token})).is_success


async def test_public_answers_are_cacheable_and_revalidate(api: Api, town: str) -> None:
    listed = (await api.get("/v1/doctors", params={"city": town})).json()["items"]
    paths = (
        "/v1/doctors?city=" + town.replace(" ", "%20"),
        "/v1/doctors/specializations",
        "/v1/doctors/by-specialty/cardiology",
        f"/v1/doctors/{listed[0]['doctor_id']}",
    )
    for path in paths:
        first = await api.get(path)
        if (await api.get(path)).headers["etag"] != first.headers["etag"]:
            first = await api.get(path)  # the specialties are counted anew each minute: just now
        assert first.headers["cache-control"] == "public, max-age=60"
        again = await api.get(path, headers={"If-None-Match": first.headers["etag"]})
        weak = await api.get(path, headers={"If-None-Match": f'"x", W/{first.headers["etag"]}'})
        other = await api.get(path, headers={"If-None-Match": '"something else"'})
        assert [again.status_code, weak.status_code, other.status_code] == [304, 304, 200]
        assert again.content == b""
        assert again.headers["etag"] == first.headers["etag"]


async def test_a_page_that_has_a_next_one_is_the_same_page_when_asked_again(
    api: Api, town: str
) -> None:
    query = {"city": town, "page_size": 1}
    first, again = [await api.get("/v1/doctors", params=query) for _ in range(2)]
    assert first.json()["next_page_token"]
    assert first.headers["etag"] == again.headers["etag"]


async def test_specializations_count_the_listed(api: Api, platform: Platform, town: str) -> None:
    answer = (await api.get("/v1/doctors/specializations")).json()
    names = [item["name"] for item in answer]
    assert names == sorted(names)
    assert {item["code"] for item in answer} >= {"cardiology", "urology"}
    assert next(i for i in answer if i["code"] == "cardiology")["doctor_count"] >= 0


async def test_while_the_database_is_away_a_list_says_so_soon(api: Api, recorder: Recorder) -> None:
    with recorder.broken("RunQuery"):
        answer = await api.get("/v1/doctors")
    assert answer.status_code == 503
    assert "retry-after" in answer.headers
