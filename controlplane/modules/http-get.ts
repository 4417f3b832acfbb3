// Gets something by HTTP, with bounds on its size and on the time that it takes.

export interface GetRequest {
  readonly url: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Of the answer's body, after decompression. */
  readonly mostBytes: number;
  /** For all of it, redirects included. */
  readonly timeoutMillis: number;
  readonly signal: AbortSignal;
}

export interface GetAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Uint8Array;
}

const MOST_REDIRECTS = 5;

/**
 * Follows redirects, but never from TLS to plain HTTP; credentials do not go along to another origin. The error says what
 * went wrong without the address, which may hold a secret in its query.
 */
export async function httpGet(request: GetRequest): Promise<{ value: GetAnswer } | { error: string }> {
  const signal = AbortSignal.any([request.signal, AbortSignal.timeout(request.timeoutMillis)]);
  let url = new URL(request.url);
  let headers = request.headers ?? {};
  try {
    for (let redirects = 0; redirects <= MOST_REDIRECTS; redirects++) {
      const response = await fetch(url, { headers, redirect: "manual", signal });
      const location = response.status >= 300 && response.status < 400 ? response.headers.get("location") : null;
      if (location === null) return await readAnswer(response, request.mostBytes);
      await response.body?.cancel();
      const next = new URL(location, url);
      if (url.protocol === "https:" && next.protocol !== "https:")
        return { error: "it redirects from TLS to plain HTTP" };
      if (next.origin !== url.origin) headers = withoutCredentials(headers);
      url = next;
    }
    return { error: `it redirects more than ${MOST_REDIRECTS} times` };
  } catch (error) {
    if (request.signal.aborted) return { error: "it is no longer wanted" };
    if (signal.aborted) return { error: `it takes more than ${request.timeoutMillis} ms` };
    return { error: reasonOf(error) };
  }
}

async function readAnswer(response: Response, mostBytes: number): Promise<{ value: GetAnswer } | { error: string }> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of response.body ?? []) {
    length += chunk.length;
    if (length > mostBytes) return { error: `it has more than ${mostBytes} bytes` };
    chunks.push(chunk);
  }
  return { value: { status: response.status, headers: response.headers, body: Buffer.concat(chunks) } };
}

function withoutCredentials(headers: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => name.toLowerCase() !== "authorization"));
}

/** Fetch hides what happened behind "fetch failed". */
function reasonOf(error: unknown): string {
  const cause = (error as { cause?: { code?: string; message?: string } }).cause;
  return cause?.code ?? cause?.message ?? (error instanceof Error ? error.message : String(error));
}
