// Bookinfo's reviews: v1 shows no stars, v2 black ones, v3 red ones; the stars come from ratings.
import { type ServiceRequest, serve } from "./service.js";

const TEXTS = {
  Reviewer1: "Two pairs of twins, one town, no patience: I laughed on every page.",
  Reviewer2: "Quick and merry. Whoever looks for a deeper meaning had better take another play.",
};
const STARS: Readonly<Record<string, string>> = { v2: "black", v3: "red" };

await serve("reviews", async (request, version) => {
  const id = /^\/reviews\/(\d+)$/.exec(request.path)?.[1];
  if (id === undefined) return { status: 404, body: { error: "ask for /reviews/<id>" } };
  const color = STARS[version];
  const rating = color === undefined ? () => undefined : await ratingsOf(request, id, color);
  const reviews = Object.entries(TEXTS).map(([reviewer, text]) => ({ reviewer, text, rating: rating(reviewer) }));
  return { headers: { "x-version": version }, body: { id: Number(id), version, reviews } };
});

/** What to show as a reviewer's rating; without ratings the reviews are still worth showing. */
async function ratingsOf({ call }: ServiceRequest, id: string, color: string) {
  const answer = await call("ratings", `/ratings/${id}`).catch(() => undefined);
  if (answer?.status !== 200) return () => ({ error: "Ratings are not available right now" });
  const { ratings } = JSON.parse(answer.body) as { ratings: Record<string, number> };
  return (reviewer: string) => ({ stars: ratings[reviewer] ?? 0, color });
}
