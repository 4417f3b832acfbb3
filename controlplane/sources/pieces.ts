// Passes a reading between threads in pieces, so that the one that takes it in can do something else in between.
import { deepFreeze } from "../resources/freeze.js";
import type { FileOutcome, ReadObject, ResourceContent } from "./reading.js";

/** Entries of tables of positions, about twice the fields of the objects that make up one piece. */
const PIECE_FIELDS = 4_096;
/** Entries of a list of a spec that make up one piece. */
const PIECE_ITEMS = 200;

/** In the order: the outcome without objects, then objects without their long lists, each followed by these. */
export type Piece =
  | { readonly outcome: FileOutcome }
  | { readonly objects: readonly ReadObject[] }
  | { readonly list: string; readonly items: readonly unknown[] };

/** Cuts an outcome up. */
export function* cut(outcome: FileOutcome): Generator<Piece> {
  if ("violation" in outcome) {
    yield { outcome };
    return;
  }
  yield { outcome: { ...outcome, reading: { ...outcome.reading, objects: [] } } };
  let objects: ReadObject[] = [];
  let fields = 0;
  for (const object of outcome.reading.objects) {
    const [shortened, lists] = withoutLongLists(object);
    objects.push(shortened);
    fields += object.positions.offsets.length;
    if (fields < PIECE_FIELDS && lists.length === 0) continue;
    yield { objects };
    yield* lists;
    objects = [];
    fields = 0;
  }
  if (objects.length > 0) yield { objects };
}

/** Puts an outcome together again from its pieces, in order; freezes each as it comes. */
export class Joining {
  private readonly objects: ReadObject[] = [];
  private whole: FileOutcome | undefined;

  add(piece: Piece): void {
    if ("outcome" in piece) this.whole = piece.outcome;
    else if ("objects" in piece) {
      // The last one's lists may be still to come.
      for (const object of piece.objects.slice(0, -1)) deepFreeze(object.content);
      for (const object of piece.objects) deepFreeze(object.violations);
      this.objects.push(...piece.objects);
    } else {
      const spec = this.objects.at(-1)?.content?.spec as unknown as Record<string, unknown[]>;
      for (const item of piece.items) spec[piece.list]?.push(deepFreeze(item));
    }
  }

  /** Undefined when there was no piece. */
  get outcome(): FileOutcome | undefined {
    const { whole } = this;
    if (whole === undefined || "violation" in whole) return whole;
    return { ...whole, reading: { ...whole.reading, objects: this.objects } };
  }
}

function withoutLongLists(object: ReadObject): readonly [ReadObject, readonly Piece[]] {
  const { content } = object;
  const long = Object.entries(content?.spec ?? {}).filter(
    (entry): entry is [string, unknown[]] => Array.isArray(entry[1]) && entry[1].length > PIECE_ITEMS,
  );
  if (content === undefined || long.length === 0) return [object, []];
  const emptied = Object.fromEntries(long.map(([name]) => [name, []]));
  const shortened = { ...content, spec: { ...content.spec, ...emptied } } as ResourceContent;
  const pieces = long.flatMap(([list, items]) =>
    Array.from({ length: Math.ceil(items.length / PIECE_ITEMS) }, (_, index) => ({
      list,
      items: items.slice(index * PIECE_ITEMS, (index + 1) * PIECE_ITEMS),
    })),
  );
  return [{ ...object, content: shortened }, pieces];
}
