// Bookinfo's product page: the one that people see, made of what details and reviews say.
import { type Details, type Reviews, renderPage } from "./page.js";
import { type ServiceRequest, serve } from "./service.js";

const COOKIE = "bookinfo-user";

await serve("productpage", async (request) => {
  const { path, method } = request;
  if (method === "POST" && path === "/login") return signIn(new URLSearchParams(request.body).get("user") ?? "");
  if (path === "/logout") return signIn("");
  if (path === "/") return { status: 302, headers: { location: "/productpage" }, body: "" };
  if (path !== "/productpage") return { status: 404, body: { error: "ask for /productpage" } };
  const user = userOf(request);
  const [details, reviews] = await Promise.all([
    fetchJson<Details>(request, user, "details", "/details/0"),
    fetchJson<Reviews>(request, user, "reviews", "/reviews/0"),
  ]);
  return { body: renderPage({ user, details, reviews }) };
});

/** The name is taken as it is given: this is a demonstration of routing, not of signing in. */
function signIn(user: string) {
  const cookie = `${COOKIE}=${encodeURIComponent(user.trim().slice(0, 64))}; Path=/; HttpOnly; SameSite=Lax`;
  return {
    status: 303,
    headers: { location: "/productpage", "set-cookie": user ? cookie : `${cookie}; Max-Age=0` },
    body: "",
  };
}

function userOf({ headers }: ServiceRequest): string | undefined {
  const value = new RegExp(`(?:^|;\\s*)${COOKIE}=([^;]*)`).exec(headers.cookie ?? "")?.[1];
  try {
    const name = decodeURIComponent(value ?? "");
    return /^[\w.@-]+$/.test(name) ? name : undefined;
  } catch {
    return undefined;
  }
}

/**
 * Undefined if the service cannot be had: the page is shown without it. The user travels on as a header, which policies
 * can match.
 */
async function fetchJson<T>(
  { call }: ServiceRequest,
  user: string | undefined,
  service: string,
  path: string,
): Promise<T | undefined> {
  const answer = await call(service, path, user ? { "end-user": user } : {}).catch(() => undefined);
  return answer?.status === 200 ? (JSON.parse(answer.body) as T) : undefined;
}
