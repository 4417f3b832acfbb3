// The files of a directory as they were last read. A file that seems to have lost something is looked at again before
// that is believed: an editor may be half-way through writing it.
import { stat } from "node:fs/promises";
import { sep } from "node:path";
import type { Violation } from "../resources/violation.js";
import type { DirectoryWatch } from "./directory-watch.js";
import { FileContents } from "./file-contents.js";
import { type FileStamp, listDirectory, unreadableViolation } from "./files.js";
import type { Reader } from "./reader.js";
import type { FileReading } from "./reading.js";

/** Files that are read at once. */
const MOST_OPEN = 16;
/** Directories can be made faster than they are listed, so a look gives up following them and leaves it to the next. */
const MOST_LISTINGS = 5;

interface WatchedFile {
  readonly contents: FileContents;
  stamp: FileStamp | undefined;
  endsWithNewline: boolean;
  /** What was seen and is not believed yet: the stamp it had, or that there was no file, and since when. */
  doubt: { readonly stamp: FileStamp | undefined; readonly since: number } | undefined;
}

export interface DirectoryFilesOptions {
  readonly root: string;
  readonly defaultNamespace: string;
  readonly reader: Reader;
  readonly watch: DirectoryWatch;
  /** Milliseconds that a file must stay as it is before what it no longer has is taken away. */
  readonly settleMs: number;
}

export class DirectoryFiles {
  private readonly files = new Map<string, WatchedFile>();
  /** Undefined when a file came or went. */
  private sorted: readonly FileContents[] | undefined;
  private rootFault: Violation | undefined;
  private unreadable: ReadonlyMap<string, Violation> = new Map();
  private nextLookMs: number | undefined;

  constructor(private readonly options: DirectoryFilesOptions) {}

  /** In the order of the paths. */
  get contents(): readonly FileContents[] {
    this.sorted ??= [...this.files].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, file]) => file.contents);
    return this.sorted;
  }

  /** The faults of directories. */
  get violations(): readonly Violation[] {
    return this.rootFault === undefined ? [...this.unreadable.values()] : [this.rootFault];
  }

  /** Whether the root could not be read when it was last looked at. */
  get isLost(): boolean {
    return this.rootFault !== undefined;
  }

  /** After how many milliseconds the last look must be repeated; undefined when it left no doubt. */
  get lookAgainMs(): number | undefined {
    return this.nextLookMs;
  }

  /** Looks at everything. A root that cannot be read leaves all as it was. */
  async lookAtAll(): Promise<void> {
    this.nextLookMs = undefined;
    const { root, watch } = this.options;
    try {
      let listing = await listDirectory(root);
      // What is made in a directory before it is watched shows in the next listing.
      for (let times = 1; watch.set(listing.directories) && times < MOST_LISTINGS; times++)
        listing = await listDirectory(root);
      this.rootFault = undefined;
      this.unreadable = listing.unreadable;
      const gone = [...this.files.keys()].filter((path) => !listing.files.has(path) && !this.isHidden(path));
      const changed = [...listing.files].filter(([path, stamp]) => this.needsReading(path, stamp));
      await this.examine([...gone, ...changed.map(([path]) => path)]);
    } catch (error) {
      this.rootFault = unreadableViolation(root, error);
    }
  }

  /** Looks at these paths. Returns true where one of them is a directory, or was, so that everything must be looked at. */
  async lookAt(paths: Iterable<string>): Promise<boolean> {
    this.nextLookMs = undefined;
    const files: string[] = [];
    for (const path of paths) {
      const found = await stat(path).catch(() => undefined);
      if (found?.isDirectory() || (found === undefined && this.options.watch.has(path))) return true;
      if (found?.isFile() || this.files.has(path)) files.push(path);
    }
    const doubtful = [...this.files].filter(([, file]) => file.doubt !== undefined).map(([path]) => path);
    await this.examine(new Set([...files, ...doubtful]));
    return false;
  }

  private needsReading(path: string, stamp: FileStamp): boolean {
    const file = this.files.get(path);
    return file === undefined || file.stamp !== stamp || file.doubt !== undefined;
  }

  /** Whether a directory that cannot be read hides the path. */
  private isHidden(path: string): boolean {
    return [...this.unreadable.keys()].some((directory) => path.startsWith(directory + sep));
  }

  private async examine(paths: Iterable<string>): Promise<void> {
    const queue = [...paths];
    const work = async () => {
      for (let path = queue.pop(); path !== undefined; path = queue.pop()) await this.examineFile(path);
    };
    await Promise.all(Array.from({ length: MOST_OPEN }, work));
  }

  private async examineFile(path: string): Promise<void> {
    const { reader, defaultNamespace } = this.options;
    const file = this.files.get(path);
    const known = file?.contents.digests ?? new Map<string, string>();
    const outcome = await reader.read({ path, defaultNamespace, known });
    if ("violation" in outcome) {
      if (outcome.missing) this.examineMissing(path, file);
      else this.fileAt(path).contents.fail(outcome.violation);
      return;
    }
    const { reading, stamp } = outcome;
    if (file !== undefined && seemsHalfWritten(file, reading) && !this.settled(file, stamp)) return;
    const accepted = this.fileAt(path);
    accepted.contents.update(reading);
    Object.assign(accepted, { stamp, endsWithNewline: reading.endsWithNewline, doubt: undefined });
  }

  private examineMissing(path: string, file: WatchedFile | undefined): void {
    if (file === undefined || !this.settled(file, undefined)) return;
    this.files.delete(path);
    this.sorted = undefined;
  }

  /** Whether a file has been as it is for long enough; if not, it is looked at again when it will have been. */
  private settled(file: WatchedFile, stamp: FileStamp | undefined): boolean {
    const now = performance.now();
    if (file.doubt === undefined || file.doubt.stamp !== stamp) file.doubt = { stamp, since: now };
    const left = file.doubt.since + this.options.settleMs - now;
    if (left <= 0) return true;
    this.nextLookMs = Math.min(this.nextLookMs ?? left, left);
    return false;
  }

  private fileAt(path: string): WatchedFile {
    let file = this.files.get(path);
    if (file === undefined) {
      file = { contents: new FileContents(), stamp: undefined, endsWithNewline: false, doubt: undefined };
      this.files.set(path, file);
      this.sorted = undefined;
    }
    return file;
  }
}

function seemsHalfWritten(file: WatchedFile, reading: FileReading): boolean {
  const isCut = file.endsWithNewline && !reading.endsWithNewline;
  const isBroken = reading.violations.some(({ severity }) => severity === "error");
  return isCut || isBroken || file.contents.loses(reading);
}
