// Bookinfo's ratings: how many stars each reviewer gave.
import { serve } from "./service.js";

await serve("ratings", ({ path }) => {
  const id = /^\/ratings\/(\d+)$/.exec(path)?.[1];
  if (id === undefined) return { status: 404, body: { error: "ask for /ratings/<id>" } };
  return { body: { id: Number(id), ratings: { Reviewer1: 5, Reviewer2: 4 } } };
});
