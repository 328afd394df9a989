import { data, upload, type Schema } from "@healthhub/client";
import { collection, limit, onSnapshot, orderBy, query, Timestamp, where } from "firebase/firestore";

import { byId, day, empty, failure, h, list, loading, show, tell, time } from "./dom.js";
import { words, type Session } from "./session.js";

/** What of `transcriptions/{id}` and `medical_images/{id}` an app may read itself. */
interface Status {
  id: string;
  state: Schema<"UploadState">;
  progress: number;
  create_time: Timestamp;
}

/** What only the API tells: what it was called, why it was refused, what was said, how it looks. */
interface Told {
  state: Schema<"UploadState">;
  name: string;
  detail: string | null;
  text?: string;
  picture?: string;
}

interface Kind {
  collection: string;
  noun: string;
  ask: (session: Session, id: string) => Promise<Told>;
}

const KINDS: Kind[] = [
  { collection: "transcriptions", noun: "Recording", ask: askRecording },
  { collection: "medical_images", noun: "Image", ask: askImage },
];

const STATE = {
  pending_upload: "On its way",
  uploaded: "Arrived",
  processing: "In progress",
  completed: "Ready",
  failed: "Delayed",
  rejected: "Not accepted",
};

async function askRecording({ api }: Session, transcription_id: string): Promise<Told> {
  const params = { path: { transcription_id } };
  const { state, file_name, detail, text } = await data(api.GET("/transcriptions/{transcription_id}", { params }));
  return { state, name: file_name ?? "Recording", detail, text };
}

async function askImage({ api }: Session, image_id: string): Promise<Told> {
  const params = { path: { image_id } };
  const { state, file_name, detail, renditions } = await data(api.GET("/medical-images/{image_id}", { params }));
  const told = { state, name: file_name ?? "Image", detail };
  if (!renditions.includes("preview")) {
    return told;
  }
  return { ...told, picture: (await data(api.GET("/medical-images/{image_id}/preview", { params }))).url };
}

/** Show what was sent, and how far each file is, as it happens; ends by what it returns. */
export function followFiles(session: Session, uid: string): () => void {
  const place = byId("file-list");
  const known = new Map<string, Status[]>();
  const told = new Map<string, Told>();
  show(place, loading("Loading your files …"));

  function render(): void {
    const files = KINDS.flatMap((kind) => (known.get(kind.collection) ?? []).map((status) => ({ kind, status })));
    files.sort((a, b) => b.status.create_time.toMillis() - a.status.create_time.toMillis());
    const cards = files.map(({ kind, status }) => card(kind, status, told.get(status.id)));
    show(place, cards.length ? list(cards) : empty(h("p", {}, "Nothing was sent yet.")));
  }

  /** Ask for what is new, or has come to another state. */
  async function ask(kind: Kind, statuses: Status[]): Promise<void> {
    for (const { id } of statuses.filter(({ id, state }) => told.get(id)?.state !== state)) {
      told.set(id, await kind.ask(session, id));
      render();
    }
  }

  const stops = KINDS.map((kind) =>
    onSnapshot(
      query(
        collection(session.firestore, kind.collection),
        where("patient_id", "==", uid), // the rules refuse a query that does not ask for one's own
        orderBy("create_time", "desc"),
        limit(10),
      ),
      (snapshot) => {
        const statuses = snapshot.docs.map((doc) => ({ ...(doc.data() as Omit<Status, "id">), id: doc.id }));
        known.set(kind.collection, statuses);
        render();
        ask(kind, statuses).catch(() => undefined); // states are shown without
      },
      () => show(place, failure("Your files can't be shown.", () => location.reload())),
    ),
  );
  return () => stops.forEach((stop) => stop());
}

function card(kind: Kind, { state, progress, create_time }: Status, told: Told | undefined): HTMLElement {
  const moment = create_time.toDate();
  const isBad = state === "rejected" || state === "failed";
  const isDone = isBad || state === "completed";
  const name = told?.name ?? kind.noun;
  const bar = h("progress", { max: 100, value: progress, ariaLabel: `${name}: how far it is` });
  const picture = told?.picture ? h("img", { src: told.picture, alt: `Preview of ${name}`, loading: "lazy" }) : null;
  const text = told?.text ? h("details", {}, h("summary", {}, "What was said"), h("p", {}, told.text)) : null;
  return h(
    "article",
    { className: "item" },
    h(
      "div",
      {},
      h("h3", {}, name),
      h("p", { className: "meta" }, `${kind.noun} · ${day(moment)}, ${time(moment)}`),
      isBad && told?.detail ? h("p", {}, told.detail) : null,
    ),
    h("span", { className: `tag ${isBad ? "bad" : isDone ? "" : "wait"}` }, STATE[state]),
    isDone ? null : bar,
    picture,
    text,
  );
}

/** The form that sends a file, straight to storage. */
export function startSending({ api }: Session): void {
  const form = byId<HTMLFormElement>("send");
  const chosen = byId<HTMLInputElement>("file");
  const bar = byId<HTMLProgressElement>("sent");
  const refused = byId("send-error");
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const file = chosen.files?.[0];
    const button = (event as SubmitEvent).submitter as HTMLButtonElement;
    if (!file) {
      return;
    }
    button.disabled = chosen.disabled = true; // else the next file would be forgotten with this one
    refused.hidden = true;
    bar.value = 0;
    byId("sending").hidden = false;
    const onProgress = (part: number) => {
      bar.value = part;
    };
    try {
      if (file.type.startsWith("audio/")) {
        await upload(api, "/transcriptions/upload", file, { onProgress });
      } else {
        // Browsers know no type of DICOM files.
        const about = { content_type: file.type || "application/dicom" };
        await upload(api, "/medical-images/upload", file, { about, onProgress });
      }
      tell(`${file.name} was sent`);
      form.reset();
    } catch (error) {
      refused.textContent = words(error);
      refused.hidden = false;
    } finally {
      byId("sending").hidden = true;
      button.disabled = chosen.disabled = false;
    }
  });
}
