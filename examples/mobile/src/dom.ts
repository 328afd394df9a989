/** The little that this app needs instead of a framework. */

export function byId<T extends HTMLElement = HTMLElement>(id: string): T {
  const found = document.getElementById(id);
  if (!found) {
    throw new Error(`index.html has no #${id}`);
  }
  return found as T;
}

type Child = Node | string | null | undefined;

/** An element; texts become text nodes, so nothing that came from elsewhere is read as HTML. */
export function h<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  properties: Partial<Omit<HTMLElementTagNameMap[K], "style">> & { role?: string } = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  const { role, ...rest } = properties;
  Object.assign(element, rest);
  if (role) {
    element.setAttribute("role", role);
  }
  element.append(...children.filter((child) => child != null));
  return element;
}

export function list(items: HTMLElement[]): HTMLElement {
  return h("ul", { className: "items" }, ...items.map((item) => h("li", {}, item)));
}

export function loading(what: string): HTMLElement {
  return h("p", { className: "loading", role: "status" }, what);
}

export function empty(...children: Child[]): HTMLElement {
  return h("div", { className: "empty" }, ...children);
}

export function failure(message: string, again?: () => void): HTMLElement {
  const button = again && h("button", { type: "button", className: "soft", onclick: again }, "Try again");
  return h("div", { className: "error", role: "alert" }, h("p", {}, message), button);
}

/** Put a list's new state in place of the old one. */
export function show(place: HTMLElement, ...content: HTMLElement[]): void {
  place.setAttribute("aria-busy", String(content.some((each) => each.className === "loading")));
  place.replaceChildren(...content);
}

let ending: ReturnType<typeof setTimeout> | undefined;

/** A short word at the bottom of the screen, read aloud by screen readers. */
export function tell(message: string): void {
  byId("told").textContent = message;
  clearTimeout(ending);
  ending = setTimeout(() => byId("told").replaceChildren(), 6000);
}

const DAY = new Intl.DateTimeFormat(undefined, { weekday: "long", day: "numeric", month: "long" });
const TIME = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });

export const day = (moment: Date): string => DAY.format(moment);
export const time = (moment: Date): string => TIME.format(moment);
