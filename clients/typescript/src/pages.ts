export interface Page<Item> {
  items: Item[];
  next_page_token?: string | null;
}

type Ask<Item> = (pageToken: string | null) => Promise<{ data?: Page<Item> }>;

/**
 * A list page by page. `ask` gets the token of the next one, and null for the first:
 *
 *     pages((page_token) => api.GET("/doctors", { params: { query: { city: "Madrid", page_token } } }))
 */
export async function* pages<Item>(ask: Ask<Item>): AsyncGenerator<Item[], void, undefined> {
  let token: string | null = null;
  do {
    const { data }: { data?: Page<Item> } = await ask(token);
    yield data?.items ?? [];
    token = data?.next_page_token ?? null;
  } while (token !== null);
}

/** The same one by one; whoever stops asks for no further page. */
export async function* items<Item>(ask: Ask<Item>): AsyncGenerator<Item, void, undefined> {
  for await (const page of pages(ask)) {
    yield* page;
  }
}
