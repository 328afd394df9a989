import { createHealthHub, Problem, type HealthHub } from "@healthhub/client";
import { FirebaseError, initializeApp } from "firebase/app";
import { connectAuthEmulator, getAuth, type Auth } from "firebase/auth";
import { connectFirestoreEmulator, getFirestore, type Firestore } from "firebase/firestore";

/** What differs between environments; the local gateway serves its own. */
interface Config {
  api: string;
  firebase: { apiKey: string; projectId: string };
  emulators?: { auth: string; firestore: { host: string; port: number } };
  demo?: { email: string; password: string };
}

export interface Session {
  api: HealthHub;
  auth: Auth;
  firestore: Firestore;
  demo: Config["demo"];
}

export async function open(): Promise<Session> {
  const answer = await fetch("config.json");
  if (!answer.ok) {
    throw new Error("The app has no configuration");
  }
  const { api, firebase, emulators, demo } = (await answer.json()) as Config;
  const app = initializeApp(firebase);
  const auth = getAuth(app);
  const firestore = getFirestore(app);
  if (emulators) {
    connectAuthEmulator(auth, emulators.auth, { disableWarnings: true });
    connectFirestoreEmulator(firestore, emulators.firestore.host, emulators.firestore.port);
  }
  const token = async () => (await auth.currentUser?.getIdToken()) ?? null;
  return { api: createHealthHub({ baseUrl: new URL(api, location.href).href, token }), auth, firestore, demo };
}

const SIGN_IN: Record<string, string> = {
  "auth/invalid-credential": "E-mail or password is wrong.",
  "auth/wrong-password": "E-mail or password is wrong.",
  "auth/user-not-found": "E-mail or password is wrong.",
  "auth/user-disabled": "This account is disabled. Ask your practice.",
  "auth/too-many-requests": "Too many attempts. Wait a little, and try again.",
  "auth/network-request-failed": "The sign-in service is out of reach. Are you online?",
};

/** What to tell people of an error. */
export function words(error: unknown): string {
  if (error instanceof Problem) {
    const fields = error.errors.map(({ detail }) => detail).join(". ");
    return fields || error.detail || error.title;
  }
  if (error instanceof FirebaseError) {
    return SIGN_IN[error.code] ?? "That did not work. Try again in a moment.";
  }
  return navigator.onLine ? "HealthHub is out of reach. Try again in a moment." : "You are offline.";
}
