// Generated from openapi.json, as schema.d.ts is.

/** The paths whose POST takes effect once for one `Idempotency-Key`. */
export const TAKES_IDEMPOTENCY_KEY: ReadonlySet<string> = new Set([
  "/ai-interactions/chat",
  "/ai-interactions/knowledge",
  "/appointments",
  "/appointments/reschedule/{appointment_id}",
  "/appointments/waitlist",
  "/appointments/waitlist/{waitlist_id}/accept",
  "/doctors",
  "/doctors/{doctor_id}/reviews",
  "/medical-images/upload",
  "/patients",
  "/patients/{patient_id}/break-glass",
  "/patients/{patient_id}/history",
  "/register",
  "/transcriptions/upload",
  "/transcriptions/{transcription_id}/note",
  "/users/me/devices",
]);
