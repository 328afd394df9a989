import type { HealthHub } from "./index.js";
import { Problem } from "./problem.js";
import type { components, paths } from "./schema.js";

export type UploadPath = "/transcriptions/upload" | "/medical-images/upload";

type Announcement<P extends UploadPath> = paths[P]["post"]["requestBody"]["content"]["application/json"];

/** The record of a file, and the URLs that it was sent to. */
export type Announced<P extends UploadPath> = paths[P]["post"]["responses"][201]["content"]["application/json"];

type Target = components["schemas"]["UploadTarget"];

export interface UploadOptions<P extends UploadPath> {
  /** Whose it is, of which visit, in which language; name and type, where the file has none. */
  about?: Partial<Omit<Announcement<P>, "size_bytes">>;
  /** Told as the file goes, from 0 to 1; outside of browsers at the end only. */
  onProgress?: (part: number) => void;
  signal?: AbortSignal;
}

const ATTEMPTS = 3;

/**
 * Send a file straight to storage: it is announced, and goes to the signed URL that comes back.
 *
 * It ends when the file has arrived. What is made of it takes longer: follow
 * its document in Firestore, or ask for its status. Throws `Problem`;
 * `TypeError` when the network fails.
 */
export async function upload<P extends UploadPath>(
  api: HealthHub,
  path: P,
  file: Blob & { readonly name?: string },
  { about, onProgress, signal }: UploadOptions<P> = {},
): Promise<Announced<P>> {
  const body = {
    file_name: file.name ?? "file",
    content_type: file.type,
    ...about,
    size_bytes: file.size,
  } as Announcement<UploadPath>;
  const { data } = await api.POST(path as UploadPath, { body, signal: signal ?? null });
  const announced = data as Announced<P>;
  if (announced.upload) {
    await put(announced.upload, file, onProgress ?? (() => undefined), signal);
  }
  return announced;
}

async function put(
  target: Target,
  file: Blob,
  onProgress: (part: number) => void,
  signal: AbortSignal | undefined,
): Promise<void> {
  const send = typeof XMLHttpRequest === "undefined" ? byFetch : byXhr;
  for (let attempt = 1; ; attempt++) {
    try {
      const answer = await send(target, file, onProgress, signal);
      // The URL takes a file once: one that is there has come by an attempt whose answer was lost.
      const isThere = answer.status === 412 && attempt > 1;
      if (answer.status < 300 || isThere) {
        onProgress(1);
        return;
      }
      if (answer.status < 500 || attempt === ATTEMPTS) {
        const detail = "Storage did not take the file. Announce it again.";
        throw new Problem(answer, { title: "Upload refused", detail });
      }
    } catch (error) {
      if (error instanceof Problem || signal?.aborted || attempt === ATTEMPTS) {
        throw error;
      }
    }
  }
}

type Answer = Pick<Response, "status" | "statusText" | "headers">;

type Send = (
  target: Target,
  file: Blob,
  onProgress: (part: number) => void,
  signal: AbortSignal | undefined,
) => Promise<Answer>;

const byFetch: Send = ({ url, method, headers }, file, _, signal) =>
  fetch(url, { method, headers, body: file, signal: signal ?? null });

/** `fetch` does not tell how much it has sent. */
const byXhr: Send = ({ url, method, headers }, file, onProgress, signal) =>
  new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open(method, url);
    for (const [name, value] of Object.entries(headers)) {
      request.setRequestHeader(name, value);
    }
    request.upload.onprogress = ({ loaded, total }) => onProgress(loaded / total);
    request.onload = () => {
      const { status, statusText } = request;
      resolve({ status, statusText, headers: new Headers() });
    };
    request.onerror = () => reject(new TypeError("The upload was interrupted"));
    request.onabort = () => reject(signal?.reason as Error);
    signal?.addEventListener("abort", () => request.abort(), { once: true });
    request.send(file);
  });
