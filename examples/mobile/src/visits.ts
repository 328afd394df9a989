import { data } from "@healthhub/client";
import { collection, limit, onSnapshot, orderBy, query, Timestamp, where } from "firebase/firestore";

import { byId, day, empty, failure, h, list, loading, show, time } from "./dom.js";
import type { Session } from "./session.js";

/** What of `appointments/{id}` an app may read itself; why somebody comes is sealed, and told by the API. */
interface Visit {
  id: string;
  doctor_name: string;
  place: string | null;
  type: "in_person" | "video" | "phone";
  status: "booked" | "arrived" | "fulfilled" | "noshow" | "cancelled";
  start: Timestamp;
}

const HOW = { in_person: "In person", video: "By video", phone: "By phone" };
const STATUS = { booked: "Booked", arrived: "Arrived", fulfilled: "Done", noshow: "Missed", cancelled: "Cancelled" };
const AN_HOUR_MS = 3_600_000;

/** Show the visits ahead, and each change of one as it happens; ends by what it returns. */
export function followVisits(session: Session, uid: string): () => void {
  const place = byId("visit-list");
  const reasons = new Map<string, string>();
  let visits: Visit[] = [];
  show(place, loading("Loading your visits …"));

  function render(): void {
    show(place, visits.length ? list(visits.map((visit) => card(visit, reasons.get(visit.id)))) : none());
  }

  async function askReasons(): Promise<void> {
    for (const { id } of visits.filter((visit) => !reasons.has(visit.id))) {
      const path = { appointment_id: id };
      const told = await data(session.api.GET("/appointments/{appointment_id}", { params: { path } }));
      reasons.set(id, told.reason ?? "");
      render();
    }
  }

  return onSnapshot(
    query(
      collection(session.firestore, "appointments"),
      where("patient_id", "==", uid), // the rules refuse a query that does not ask for one's own
      where("start", ">=", Timestamp.fromMillis(Date.now() - AN_HOUR_MS)),
      orderBy("start"),
      limit(20),
    ),
    (snapshot) => {
      visits = snapshot.docs.map((doc) => ({ ...(doc.data() as Omit<Visit, "id">), id: doc.id }));
      render();
      askReasons().catch(() => undefined); // the visits are shown without
    },
    () => {
      const again = () => location.reload();
      show(place, failure("Your visits can't be shown. Sign in again if this stays.", again));
    },
  );
}

function card({ start, doctor_name, place, type, status }: Visit, reason: string | undefined): HTMLElement {
  const moment = start.toDate();
  const isOff = status === "cancelled" || status === "noshow";
  return h(
    "article",
    { className: "item" },
    h(
      "div",
      {},
      h("p", { className: "when" }, `${day(moment)}, ${time(moment)}`),
      h("h3", {}, doctor_name),
      h("p", { className: "meta" }, [HOW[type], type === "in_person" ? place : null].filter(Boolean).join(" · ")),
      reason ? h("p", {}, reason) : null,
    ),
    h("span", { className: isOff ? "tag bad" : "tag" }, STATUS[status]),
  );
}

function none(): HTMLElement {
  return empty(h("p", {}, "No visits ahead."), h("a", { href: "#book" }, "Book one"));
}
