// Against a running platform: HEALTHHUB_TEST says where it is and who may ask it (tests/clients).
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { setTimeout as after } from "node:timers/promises";

import { createHealthHub, data, items, pages, Problem, upload } from "../src/index.js";

interface World {
  url: string;
  token: string;
  doctor_id: string;
  /** Free slots of that doctor, of which the first is booked already. */
  starts: string[];
  city: string;
  /** The path of a WAV file. */
  recording: string;
}

const world = JSON.parse(process.env.HEALTHHUB_TEST ?? "{}") as World;
const baseUrl = `${world.url}/v1`;
const token = () => Promise.resolve(world.token);
const api = createHealthHub({ baseUrl, token });

function aBooking(start: string | undefined) {
  assert(start);
  return { doctor_id: world.doctor_id, start, type: "in_person", reason: "canary: a cough" } as const;
}

test("an answer is typed, and comes with the token's rights", async () => {
  const me = await data(api.GET("/users/me"));
  assert.equal(me.role, "patient");
  const path = { user_id: me.user_id };
  assert.equal((await data(api.GET("/users/{user_id}", { params: { path } }))).user_id, me.user_id);
});

test("who is signed out is told so by a problem", async () => {
  const stranger = createHealthHub({ baseUrl, token: () => Promise.resolve(null) });
  await assert.rejects(stranger.GET("/users/me"), (error) => {
    assert(error instanceof Problem);
    assert.equal(error.status, 401);
    assert(error.is("unauthenticated"));
    assert.match(error.requestId ?? "", /^\w+/);
    return true;
  });
});

test("a problem has what only it has: the next free slots, the fields that are wrong", async () => {
  await assert.rejects(api.POST("/appointments", { body: aBooking(world.starts[0]) }), (error) => {
    assert(error instanceof Problem && error.is("slot-taken"));
    assert.equal(error.status, 409);
    assert.equal(error.fields.next_free?.length, 3);
    assert.equal(error.message, error.detail);
    return true;
  });
  const body = { ...aBooking(world.starts[1]), reason: "" };
  await assert.rejects(api.POST("/appointments", { body }), (error) => {
    assert(error instanceof Problem && error.is("invalid"));
    assert.deepEqual(error.errors.map(({ pointer }) => pointer), ["/reason"]);
    return true;
  });
});

test("a booking whose answer was lost is asked for again, and takes effect once", async () => {
  const keys: (string | null)[] = [];
  const losing = createHealthHub({
    baseUrl,
    token,
    fetch: async (request) => {
      keys.push(request.headers.get("Idempotency-Key"));
      const answer = await fetch(request);
      if (keys.length === 1) {
        throw new TypeError("lost on its way");
      }
      return answer;
    },
  });
  const { data: booked, response } = await losing.POST("/appointments", {
    body: aBooking(world.starts[2]),
  });
  assert.equal(keys.length, 2);
  assert.equal(new Set(keys).size, 1);
  assert.match(keys[0] ?? "", /^[0-9a-f-]{36}$/);
  assert.equal(response.headers.get("Idempotent-Replayed"), "true");
  const all = items((page_token) => api.GET("/appointments", { params: { query: { page_token } } }));
  const same = [];
  for await (const { appointment_id, start } of all) {
    if (start === booked?.start) {
      same.push(appointment_id);
    }
  }
  assert.deepEqual(same, [booked?.appointment_id]);
});

test("a list comes page by page, and one by one until nobody asks for more", async () => {
  let asked = 0;
  const doctors = (page_token: string | null) => {
    asked += 1;
    return api.GET("/doctors", { params: { query: { city: world.city, page_size: 1, page_token } } });
  };
  const sizes: number[] = [];
  for await (const page of pages(doctors)) {
    sizes.push(page.length);
  }
  assert.equal(sizes.reduce((sum, size) => sum + size), 2);
  const before = asked;
  for await (const doctor of items(doctors)) {
    assert.equal(doctor.location.city, world.city);
    break;
  }
  assert.equal(asked, before + 1);
});

test("a file goes to its signed URL, and is processed", async () => {
  const content = new File([await readFile(world.recording)], "visit.wav", { type: "audio/wav" });
  const told: number[] = [];
  const { transcription } = await upload(api, "/transcriptions/upload", content, {
    about: { language: "en-US" },
    onProgress: (part) => told.push(part),
  });
  assert.equal(told.at(-1), 1);
  assert.equal(transcription.file_name, "visit.wav");
  const path = { transcription_id: transcription.transcription_id };
  const until = Date.now() + 40_000;
  for (;;) {
    const status = await data(api.GET("/transcriptions/status/{transcription_id}", { params: { path } }));
    if (["completed", "failed", "rejected"].includes(status.state)) {
      assert.equal(status.state, "completed");
      break;
    }
    assert(Date.now() < until, `still ${status.state}`);
    await after(200);
  }
});

test("a file that is sent otherwise than the URL was signed for is refused", async () => {
  const tampering = createHealthHub({
    baseUrl,
    token,
    fetch: async (request) => {
      const answer = await fetch(request);
      const announced = (await answer.json()) as { upload: { headers: Record<string, string> } };
      announced.upload.headers["Content-Type"] = "text/html";
      return Response.json(announced, { status: answer.status });
    },
  });
  const content = new File(["no sound"], "visit.wav", { type: "audio/wav" });
  await assert.rejects(upload(tampering, "/transcriptions/upload", content), {
    name: "Problem",
    title: "Upload refused",
    status: 403,
  });
});
