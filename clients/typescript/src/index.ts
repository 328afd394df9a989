import createClient, { type Client, type Middleware } from "openapi-fetch";

import { TAKES_IDEMPOTENCY_KEY } from "./idempotent.js";
import { Problem } from "./problem.js";
import { retrying, type Pause } from "./retry.js";
import type { components, paths } from "./schema.js";

export { items, pages, type Page } from "./pages.js";
export { Problem } from "./problem.js";
export { upload, type Announced, type UploadOptions, type UploadPath } from "./upload.js";
export type { components, operations, paths } from "./schema.js";

/** A schema of the API by its name: `Schema<"AppointmentPublic">`. */
export type Schema<Name extends keyof components["schemas"]> = components["schemas"][Name];

export type HealthHub = Client<paths>;

export interface Options {
  /** Where the API is, with its version: `https://api.example.com/v1`. */
  baseUrl: string;
  /** The Firebase ID token of whoever is signed in, else null. It is asked before each request. */
  token: () => Promise<string | null>;
  /** Another `fetch` than the global one. */
  fetch?: (request: Request) => Promise<Response>;
  /** How to wait between attempts; tests need not. */
  pause?: Pause;
}

/**
 * The API's client: `GET`, `POST`, `PUT`, `DELETE` with the API's own paths, every answer typed.
 *
 * An answer of 400 and above is thrown as a `Problem`. What is safe to repeat
 * is repeated a few times while the API is busy or out of reach.
 */
export function createHealthHub({ baseUrl, token, fetch, pause }: Options): HealthHub {
  const send = fetch ?? ((request: Request) => globalThis.fetch(request));
  const client = createClient<paths>({ baseUrl, fetch: retrying(send, pause) });
  client.use(prepared(token));
  return client;
}

function prepared(token: Options["token"]): Middleware {
  return {
    async onRequest({ request, schemaPath }) {
      const idToken = await token();
      if (idToken !== null && !request.headers.has("Authorization")) {
        request.headers.set("Authorization", `Bearer ${idToken}`);
      }
      // Set once, before any attempt: it is the same for all of them.
      const takesKey = request.method === "POST" && TAKES_IDEMPOTENCY_KEY.has(schemaPath);
      if (takesKey && !request.headers.has("Idempotency-Key")) {
        request.headers.set("Idempotency-Key", crypto.randomUUID());
      }
      return request;
    },
    async onResponse({ response }) {
      if (response.status >= 400) {
        throw await Problem.from(response);
      }
      return response;
    },
  };
}

/** What an answer holds: `await data(api.GET("/users/me"))`. */
export async function data<T>(answer: Promise<{ data?: T }>): Promise<Exclude<T, undefined>> {
  return (await answer).data as Exclude<T, undefined>;
}
