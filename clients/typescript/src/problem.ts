import type { components } from "./schema.js";

type Document = components["schemas"]["ProblemDocument"];

/** An error that the API told (RFC 9457). `docs/problems.md` says what each `type` means. */
export class Problem extends Error {
  override readonly name = "Problem";
  /** What went wrong, for programs: `urn:healthhub:problem:slot-taken`. */
  readonly type: string;
  /** The same for people, in a few words. */
  readonly title: string;
  readonly status: number;
  /** What to do about it. */
  readonly detail: string;
  /** What support asks for. */
  readonly requestId: string | null;
  /** Seconds after which to ask again, if the answer said so. */
  readonly retryAfter: number | null;
  /** Of a 422: which fields, and why. */
  readonly errors: NonNullable<Document["errors"]>;
  /** All fields of the document, with those that only some problems have: `next_free`, `count`. */
  readonly fields: Readonly<Partial<Document>>;

  constructor(response: Pick<Response, "status" | "statusText" | "headers">, fields: Partial<Document>) {
    const title = fields.title ?? (response.statusText || `Status ${response.status}`);
    super(fields.detail ?? title);
    this.type = fields.type ?? "about:blank";
    this.title = title;
    this.status = response.status;
    this.detail = fields.detail ?? "";
    this.requestId = response.headers.get("X-Request-Id");
    this.retryAfter = seconds(response.headers.get("Retry-After"));
    this.errors = fields.errors ?? [];
    this.fields = fields;
  }

  /** Of any answer, also one that came from in between and is no problem document. */
  static async from(response: Response): Promise<Problem> {
    return new Problem(response, await documentOf(response));
  }

  /** Whether it is this problem, by the last part of its type: `problem.is("slot-taken")`. */
  is(name: string): boolean {
    return this.type === `urn:healthhub:problem:${name}`;
  }
}

export async function documentOf(response: Response): Promise<Partial<Document>> {
  if (!response.headers.get("Content-Type")?.startsWith("application/problem+json")) {
    return {};
  }
  try {
    return (await response.json()) as Document;
  } catch {
    return {}; // cut off on its way
  }
}

/** `Retry-After` in seconds; the API never gives a date. */
export function seconds(header: string | null): number | null {
  return header !== null && /^\d+$/.test(header) ? Number(header) : null;
}
