import { data, pages, Problem, type Schema } from "@healthhub/client";

import { byId, day, empty, failure, h, list, loading, show, tell, time } from "./dom.js";
import { words, type Session } from "./session.js";

type Doctor = Schema<"DoctorPublic">;
type Slot = Schema<"FreeSlot">;

const AT_ONCE = 10;
const DAYS_AT_ONCE = 4;

const specialty = byId<HTMLSelectElement>("specialty");
const type = byId<HTMLSelectElement>("type");

/** Lets people choose a specialty, a doctor, a free time. */
export class Booking {
  private chosen: Doctor | undefined;

  constructor(private readonly session: Session) {
    specialty.addEventListener("change", tried("doctors", () => this.showDoctors()));
    type.addEventListener("change", tried("slots", () => this.showSlots()));
  }

  /** When its tab is opened. */
  open(): void {
    if (!specialty.options.length) {
      tried("doctors", () => this.showSpecialties())();
    }
  }

  private async showSpecialties(): Promise<void> {
    show(byId("doctors"), loading("Loading …"));
    const found = await data(this.session.api.GET("/doctors/specializations"));
    const offered = found.filter(({ doctor_count }) => doctor_count > 0);
    specialty.replaceChildren(...offered.map(({ code, name }) => h("option", { value: code }, name)));
    await this.showDoctors();
  }

  private async showDoctors(): Promise<void> {
    this.chosen = undefined;
    byId("slots").replaceChildren();
    show(byId("doctors"), loading("Looking for doctors …"));
    const query = {
      specialty: specialty.value as Schema<"Specialty">,
      accepting_patients: true,
      page_size: AT_ONCE,
    };
    const found = pages((page_token) =>
      this.session.api.GET("/doctors", { params: { query: { ...query, page_token } } }),
    );
    await this.showMore(found, []);
  }

  private async showMore(found: AsyncIterator<Doctor[], void>, known: Doctor[]): Promise<void> {
    const { value, done } = await found.next();
    const doctors = [...known, ...(value ?? [])];
    const isLast = done || (value?.length ?? 0) < AT_ONCE;
    const onclick = tried("doctors", () => this.showMore(found, doctors));
    const cards = doctors.map((doctor) => doctorCard(doctor, tried("slots", () => this.choose(doctor))));
    show(
      byId("doctors"),
      cards.length ? list(cards) : empty("Nobody of this specialty takes new patients now."),
      ...(isLast ? [] : [h("button", { type: "button", className: "soft wide", onclick }, "More doctors")]),
    );
  }

  private async choose(doctor: Doctor): Promise<void> {
    this.chosen = doctor;
    for (const button of byId("doctors").querySelectorAll<HTMLElement>("[data-doctor]")) {
      button.setAttribute("aria-pressed", String(button.dataset.doctor === doctor.doctor_id));
    }
    await this.showSlots();
  }

  private async showSlots(): Promise<void> {
    const doctor = this.chosen;
    if (!doctor) {
      return;
    }
    show(byId("slots"), loading("Looking for free times …"));
    const path = { doctor_id: doctor.doctor_id };
    const query = { type: type.value as Schema<"AppointmentType"> };
    const { items } = await data(
      this.session.api.GET("/appointments/available/{doctor_id}", { params: { path, query } }),
    );
    if (doctor === this.chosen) {
      offer(this.session, doctor, query.type, items, tried("slots", () => this.showSlots()));
      byId("slots").scrollIntoView({ block: "start" });
    }
  }
}

/** The step; if it fails, why, and the step again. */
function tried(place: "doctors" | "slots", step: () => Promise<void>): () => void {
  return () => {
    step().catch((error: unknown) => show(byId(place), failure(words(error), tried(place, step))));
  };
}

function doctorCard({ doctor_id, name, location, languages, rating }: Doctor, onclick: () => void): HTMLElement {
  const about = h("span", { className: "meta" }, `${location.city} · ${languages.join(", ")}`);
  const card = h(
    "button",
    { type: "button", className: "item", onclick },
    h("span", {}, h("strong", {}, name), h("br"), about),
    rating.average ? h("span", { className: "tag" }, `★ ${rating.average}`) : null,
  );
  card.dataset.doctor = doctor_id;
  card.setAttribute("aria-pressed", "false");
  return card;
}

function offer(
  session: Session,
  doctor: Doctor,
  type: Schema<"AppointmentType">,
  free: Slot[],
  again: () => void,
): void {
  const place = byId("slots");
  const title = h("h2", {}, `Free times with ${doctor.name}`);
  if (!free.length) {
    show(place, title, empty("No free times of this kind in the next weeks."));
    return;
  }
  const form = bookingForm(session, doctor, type, again);
  const days = [...byDay(free)];
  const shown = h("div");
  const more = h("button", { type: "button", className: "soft wide" }, "More days");
  more.onclick = () => {
    for (const [name, slots] of days.splice(0, DAYS_AT_ONCE)) {
      shown.append(h("p", { className: "day" }, name), times(slots, form));
    }
    more.hidden = !days.length;
  };
  more.click();
  show(place, title, shown, more, form.element);
}

function byDay(slots: Slot[]): Map<string, Slot[]> {
  const days = new Map<string, Slot[]>();
  for (const slot of slots) {
    const name = day(new Date(slot.start));
    days.set(name, [...(days.get(name) ?? []), slot]);
  }
  return days;
}

interface BookingForm {
  element: HTMLFormElement;
  choose: (slot: Slot) => void;
}

function times(slots: Slot[], form: BookingForm): HTMLElement {
  const buttons = slots.map((slot) => {
    const button = h("button", { type: "button", className: "soft" }, time(new Date(slot.start)));
    button.dataset.start = slot.start;
    button.setAttribute("aria-label", `${day(new Date(slot.start))}, ${time(new Date(slot.start))}`);
    button.onclick = () => {
      for (const other of byId("slots").querySelectorAll(".times [aria-pressed]")) {
        other.removeAttribute("aria-pressed");
      }
      button.setAttribute("aria-pressed", "true");
      form.choose(slot);
    };
    return button;
  });
  return h("div", { className: "times" }, ...buttons);
}

function bookingForm(
  { api }: Session,
  doctor: Doctor,
  type: Schema<"AppointmentType">,
  again: () => void,
): BookingForm {
  let start = "";
  const reason = h("textarea", { id: "reason", required: true, maxLength: 500 });
  const refused = h("div");
  const button = h("button", { className: "wide" }, "Book");
  const label = h("label", { htmlFor: "reason" }, "What do you come for?");
  const element = h("form", { className: "card", hidden: true }, label, reason, refused, button);

  function choose(slot: Slot): void {
    start = slot.start;
    const moment = new Date(start);
    button.textContent = `Book ${day(moment)}, ${time(moment)}`;
    refused.replaceChildren();
    element.hidden = false;
    reason.focus({ preventScroll: true });
    element.scrollIntoView({ block: "end" });
  }

  element.addEventListener("submit", async (event) => {
    event.preventDefault();
    button.disabled = true;
    refused.replaceChildren();
    try {
      const body = { doctor_id: doctor.doctor_id, start, type, reason: reason.value };
      const booked = await data(api.POST("/appointments", { body }));
      tell(`Booked: ${day(new Date(booked.start))}, ${time(new Date(booked.start))}`);
      byId("slots").replaceChildren();
      location.hash = "visits";
    } catch (error) {
      const next = error instanceof Problem ? (error.fields.next_free ?? []) : [];
      const isTaken = error instanceof Problem && error.is("slot-taken");
      refused.replaceChildren(failure(words(error), isTaken ? again : undefined));
      if (next.length) {
        refused.append(h("p", { className: "day" }, "The next free times"), times(next, { element, choose }));
      }
    } finally {
      button.disabled = false;
    }
  });
  return { element, choose };
}
