import { onAuthStateChanged, signInWithEmailAndPassword, signOut } from "firebase/auth";

import { Booking } from "./booking.js";
import { byId, failure, show } from "./dom.js";
import { followFiles, startSending } from "./files.js";
import { open, words, type Session } from "./session.js";
import { followVisits } from "./visits.js";

const TABS = ["visits", "book", "files"] as const;

async function start(): Promise<void> {
  const session = await open();
  offerSignIn(session);
  const booking = new Booking(session);
  startSending(session);
  let stop: (() => void)[] = [];
  onAuthStateChanged(session.auth, (user) => {
    stop.forEach((each) => each());
    stop = user ? [followVisits(session, user.uid), followFiles(session, user.uid)] : [];
    byId("starting").hidden = true;
    showTab();
  });

  function showTab(): void {
    const isSignedIn = session.auth.currentUser !== null;
    const chosen = TABS.find((tab) => location.hash === `#${tab}`) ?? "visits";
    byId("signed-out").hidden = isSignedIn;
    byId("sign-out").hidden = byId("tabs").hidden = !isSignedIn;
    for (const tab of TABS) {
      byId(tab).hidden = !isSignedIn || tab !== chosen;
      const link = document.querySelector(`nav a[href="#${tab}"]`);
      link?.toggleAttribute("aria-current", false);
      if (tab === chosen) {
        link?.setAttribute("aria-current", "page");
      }
    }
    if (isSignedIn && chosen === "book") {
      booking.open();
    }
  }

  window.addEventListener("hashchange", () => {
    showTab();
    const heading = TABS.find((tab) => location.hash === `#${tab}`);
    if (heading) {
      byId(`${heading}-title`).focus();
      window.scrollTo(0, 0);
    }
  });
}

function offerSignIn({ auth, demo }: Session): void {
  const email = byId<HTMLInputElement>("email");
  const password = byId<HTMLInputElement>("password");
  const refused = byId("sign-in-error");
  const prefill = () => {
    email.value = demo?.email ?? "";
    password.value = demo?.password ?? "";
  };
  prefill();
  byId("demo").hidden = !demo;
  byId("sign-in").addEventListener("submit", async (event) => {
    event.preventDefault();
    const button = (event as SubmitEvent).submitter as HTMLButtonElement;
    button.disabled = true;
    refused.hidden = true;
    try {
      await signInWithEmailAndPassword(auth, email.value, password.value);
      prefill();
    } catch (error) {
      refused.textContent = words(error);
      refused.hidden = false;
      password.select();
    } finally {
      button.disabled = false;
    }
  });
  byId("sign-out").addEventListener("click", async () => {
    location.hash = "";
    await signOut(auth);
    email.focus();
  });
}

function tellWhetherOnline(): void {
  byId("offline").hidden = navigator.onLine;
}

window.addEventListener("online", tellWhetherOnline);
window.addEventListener("offline", tellWhetherOnline);
tellWhetherOnline();
start().catch((error: unknown) => show(byId("main"), failure(words(error), () => location.reload())));
