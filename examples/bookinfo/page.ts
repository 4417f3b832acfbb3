// The product page's HTML.

export interface Details {
  readonly title: string;
  readonly author: string;
  readonly year: number;
  readonly type: string;
  readonly pages: number;
  readonly language: string;
}

export interface Reviews {
  readonly version: string;
  readonly reviews: readonly {
    readonly reviewer: string;
    readonly text: string;
    readonly rating?: { readonly stars?: number; readonly color?: string; readonly error?: string };
  }[];
}

export interface PageContent {
  readonly user: string | undefined;
  readonly details: Details | undefined;
  readonly reviews: Reviews | undefined;
}

const STYLE = `
  :root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
  body { max-width: 46rem; margin: 0 auto; padding: 1.5rem; }
  header { display: flex; flex-wrap: wrap; gap: 1rem; justify-content: space-between; align-items: center; }
  h1 { margin: 1.5rem 0 0; }
  h2 { margin-top: 2rem; font-size: 1.1rem; }
  dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1.5rem; }
  dt { opacity: .7; }
  dd { margin: 0; }
  blockquote { margin: 1rem 0; padding: .2rem 1rem; border-left: 3px solid color-mix(in srgb, currentColor 30%, transparent); }
  .stars { font-size: 1.3rem; letter-spacing: .1em; }
  .red { color: #d22; }
  .sorry { font-style: italic; }
  .version { padding: .1rem .6rem; border: 1px solid; border-radius: 1rem; font-size: .85rem; font-weight: normal; }
  form { display: inline-flex; gap: .5rem; }
  input, button { font: inherit; }
`;

export function renderPage({ user, details, reviews }: PageContent): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeHtml(details?.title ?? "Bookinfo")}</title>
<style>${STYLE}</style>
</head>
<body>
<header><strong>Bookinfo</strong>${renderUser(user)}</header>
<main>
${renderDetails(details)}
${renderReviews(reviews)}
</main>
</body>
</html>
`;
}

function renderUser(user: string | undefined): string {
  if (user) return `<span>Signed in as <b id="user">${escapeHtml(user)}</b> · <a href="/logout">sign out</a></span>`;
  return `<form method="post" action="/login">
<label for="name">Name</label> <input id="name" name="user" placeholder="jason" autocomplete="off" required>
<button>Sign in</button></form>`;
}

function renderDetails(details: Details | undefined): string {
  if (!details) return `<p class="sorry" id="details">Book details are not available right now.</p>`;
  const { title, ...rest } = details;
  const rows = (["author", "year", "type", "pages", "language"] as const).map(
    (key) => `<dt>${key}</dt><dd>${escapeHtml(String(rest[key]))}</dd>`,
  );
  return `<h1>${escapeHtml(title)}</h1><dl id="details">${rows.join("")}</dl>`;
}

function renderReviews(reviews: Reviews | undefined): string {
  if (!reviews) return `<h2>Reviews</h2><p class="sorry" id="reviews">Reviews are not available right now.</p>`;
  const quotes = reviews.reviews.map(
    ({ reviewer, text, rating }) =>
      `<blockquote>${renderRating(rating)}<p>${escapeHtml(text)}</p><footer>${escapeHtml(reviewer)}</footer></blockquote>`,
  );
  const version = escapeHtml(reviews.version);
  return `<h2>Reviews <span class="version" id="version">served by reviews ${version}</span></h2>
<div id="reviews">${quotes.join("\n")}</div>`;
}

function renderRating(rating: Reviews["reviews"][number]["rating"]): string {
  if (!rating) return "";
  if (rating.error) return `<p class="sorry">${escapeHtml(rating.error)}</p>`;
  const stars = Math.min(Math.max(rating.stars ?? 0, 0), 5);
  const color = rating.color === "red" ? "red" : "black";
  const shown = "★".repeat(stars) + "☆".repeat(5 - stars);
  return `<div class="stars ${color}" role="img" aria-label="${stars} of 5 stars">${shown}</div>`;
}

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (sign) => `&#${sign.charCodeAt(0)};`);
}
