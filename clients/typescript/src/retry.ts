import { documentOf, seconds } from "./problem.js";

/** Waits; ends early, with an error, when the request is given up. */
export type Pause = (milliseconds: number, signal: AbortSignal) => Promise<void>;

const ATTEMPTS = 4;
const FIRST_PAUSE_MS = 250;
/** Nobody waits longer in front of a screen: whoever is told to is told so. */
const LONGEST_PAUSE_MS = 10_000;

/**
 * A `fetch` that asks again while the API is busy or out of reach, if once or twice is the same.
 *
 * It waits as long as `Retry-After` says, else longer each time, by a random
 * part so that many apps don't come back together.
 */
export function retrying(
  fetch: (request: Request) => Promise<Response>,
  pause: Pause = sleep,
): (request: Request) => Promise<Response> {
  return async (request) => {
    for (let attempt = 1; ; attempt++) {
      const isLast = attempt === ATTEMPTS || !isRepeatable(request);
      let wait = FIRST_PAUSE_MS * 2 ** (attempt - 1) * (0.5 + Math.random());
      try {
        const response = await fetch(isLast ? request : request.clone());
        if (isLast || !(await isPassing(response))) {
          return response;
        }
        wait = (seconds(response.headers.get("Retry-After")) ?? wait / 1000) * 1000;
        if (wait > LONGEST_PAUSE_MS) {
          return response;
        }
      } catch (error) {
        if (isLast || request.signal.aborted) {
          throw error;
        }
      }
      await pause(wait, request.signal);
    }
  };
}

function isRepeatable(request: Request): boolean {
  return request.method !== "POST" || request.headers.has("Idempotency-Key");
}

async function isPassing(response: Response): Promise<boolean> {
  if (response.status === 409) {
    // The first attempt, whose answer was lost, still runs.
    return (await documentOf(response.clone())).type === "urn:healthhub:problem:idempotency-in-flight";
  }
  return response.status === 429 || response.status === 503;
}

const sleep: Pause = (milliseconds, signal) =>
  new Promise((resolve, reject) => {
    const giveUp = () => {
      clearTimeout(timer);
      reject(signal.reason as Error);
    };
    const timer = setTimeout(() => {
      signal.removeEventListener("abort", giveUp);
      resolve();
    }, milliseconds);
    signal.addEventListener("abort", giveUp, { once: true });
  });
