// What can't be caused for certain on a platform that is well.
import assert from "node:assert/strict";
import { test } from "node:test";

import { createHealthHub, Problem } from "../src/index.js";

type Made = () => Response;

const busy: Made = () => problem(503, "busy");
const fine: Made = () => Response.json({ items: [], user_id: "somebody" });

function problem(status: number, name: string, headers: Record<string, string> = {}): Response {
  const type = `urn:healthhub:problem:${name}`;
  return new Response(JSON.stringify({ type, title: name, status, detail: "", instance: "" }), {
    status,
    headers: { "Content-Type": "application/problem+json", ...headers },
  });
}

function answering(...answers: Made[]) {
  const asked: Request[] = [];
  const waited: number[] = [];
  const api = createHealthHub({
    baseUrl: "http://api.test/v1",
    token: () => Promise.resolve("a-token"),
    fetch: async (request) => {
      asked.push(request);
      await request.text(); // as a network does
      const answer = answers[Math.min(asked.length, answers.length) - 1];
      assert(answer);
      return answer();
    },
    pause: (milliseconds) => {
      waited.push(milliseconds);
      return Promise.resolve();
    },
  });
  return { api, asked, waited };
}

const aBooking = {
  doctor_id: "d", start: "2030-01-01T09:00:00Z", type: "video", reason: "A cough",
} as const;

test("it asks again while the API is busy, later each time", async () => {
  const { api, asked, waited } = answering(busy, busy, fine);
  await api.GET("/users/me");
  assert.equal(asked.length, 3);
  assert(waited[0]! >= 125 && waited[0]! <= 375 && waited[1]! >= 250 && waited[1]! <= 750);
});

test("it waits as long as it is told, unless that is too long for a person", async () => {
  const patient = answering(() => problem(429, "too-many-requests", { "Retry-After": "7" }), fine);
  await patient.api.GET("/doctors");
  assert.deepEqual(patient.waited, [7000]);
  const hurried = answering(() => problem(429, "budget-spent", { "Retry-After": "3600" }));
  await assert.rejects(hurried.api.GET("/doctors"), (error) => {
    assert(error instanceof Problem);
    assert.equal(error.retryAfter, 3600);
    return true;
  });
  assert.equal(hurried.asked.length, 1);
});

test("it gives up after a few times", async () => {
  const { api, asked } = answering(busy);
  await assert.rejects(api.GET("/users/me"), { name: "Problem", status: 503 });
  assert.equal(asked.length, 4);
});

test("what may take effect twice is sent once", async () => {
  const { api, asked } = answering(busy);
  const body = { email: "someone@example.test", password: "wrong" };
  await assert.rejects(api.POST("/login", { body }), { status: 503 });
  assert.equal(asked.length, 1);
  assert.equal(asked[0]?.headers.has("Idempotency-Key"), false);
});

test("a key of the caller's own is kept, and a first attempt that still runs is waited for", async () => {
  const { api, asked } = answering(() => problem(409, "idempotency-in-flight"), fine);
  const params = { header: { "Idempotency-Key": "one-of-my-own" } };
  await api.POST("/appointments", { params, body: aBooking });
  const keys = asked.map(({ headers }) => headers.get("Idempotency-Key"));
  assert.deepEqual(keys, ["one-of-my-own", "one-of-my-own"]);
  assert(asked.every(({ headers }) => headers.get("Authorization") === "Bearer a-token"));
});

test("any other conflict is told at once", async () => {
  const { api, asked } = answering(() => problem(409, "slot-taken"));
  await assert.rejects(api.POST("/appointments", { body: aBooking }), { status: 409 });
  assert.equal(asked.length, 1);
});

test("an answer that is no problem document is a problem all the same", async () => {
  const { api } = answering(() => new Response("<h1>Bad gateway</h1>", { status: 502 }));
  await assert.rejects(api.GET("/users/me"), { type: "about:blank", title: "Status 502", status: 502 });
});

test("a request that is given up is not sent again", async () => {
  const { api, asked } = answering(() => {
    throw new TypeError("out of reach");
  });
  await assert.rejects(api.GET("/users/me", { signal: AbortSignal.abort(new Error("gone")) }));
  assert(asked.length <= 1);
});
