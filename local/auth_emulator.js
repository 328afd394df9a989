// Runs the Firebase Auth emulator alone: half the start of `firebase emulators:start`,
// no hub and logging ports, and no look-up of news on the internet.
// firebase-tools is pinned in package-lock.json; this module is not its public interface.
const { AuthEmulator, SingleProjectMode } = require("firebase-tools/lib/emulator/auth");

const [projectId, host, port] = process.argv.slice(2);
const emulator = new AuthEmulator({
  projectId,
  host,
  port: Number(port),
  singleProjectMode: SingleProjectMode.NO_WARNING,
});
emulator.start();
process.on("SIGTERM", () => process.exit(0));
