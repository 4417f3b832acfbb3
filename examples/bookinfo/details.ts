// Bookinfo's details: what is known of a book.
import { serve } from "./service.js";

await serve("details", ({ path }) => {
  const id = /^\/details\/(\d+)$/.exec(path)?.[1];
  if (id === undefined) return { status: 404, body: { error: "ask for /details/<id>" } };
  return {
    body: {
      id: Number(id),
      title: "The Comedy of Errors",
      author: "William Shakespeare",
      year: 1595,
      type: "paperback",
      pages: 200,
      language: "English",
    },
  };
});
