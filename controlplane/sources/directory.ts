// The source that reads a directory of YAML files and follows their changes while people and programs edit them.
import { basename } from "node:path";
import { setImmediate as nextTurn } from "node:timers/promises";
import { isDeepStrictEqual } from "node:util";
import { deepFreeze } from "../resources/freeze.js";
import { assemble } from "./assembly.js";
import { DirectoryFiles } from "./directory-files.js";
import { DirectoryWatch } from "./directory-watch.js";
import { listDirectory } from "./files.js";
import { PassSchedule } from "./pass-schedule.js";
import { createReader, type Reader } from "./reader.js";
import type { Source, SourceState } from "./source.js";

export interface DirectorySourceOptions {
  readonly directory: string;
  /** The namespace of objects that name none. */
  readonly defaultNamespace: string;
  /** Milliseconds without an event before changes are read; by default 10. */
  readonly quietMs?: number;
  /** Milliseconds that a file must stay as it is before what it no longer has is taken away; by default 200. */
  readonly settleMs?: number;
  /** Milliseconds between looks at everything, for changes that no event tells of; by default 2,000. */
  readonly pollMs?: number;
  /** Closed with the source. */
  readonly reader?: Reader;
  /** Told what keeps changes from being seen at once. */
  readonly logger?: { warn(message: string): void };
}

/** Looking at everything takes at most one part in this many of the time. */
const POLL_SHARE = 20;
/** How often a directory that has vanished is looked for, in milliseconds. */
const LOST_POLL_MS = 200;

/** Reads the .yaml, .yml and .json files in and below a directory. Of several objects with one key that of the first path is served. */
export function createDirectorySource(options: DirectorySourceOptions): Source {
  return new DirectorySource(options);
}

class DirectorySource implements Source {
  private readonly reader: Reader;
  private readonly watch: DirectoryWatch;
  private readonly files: DirectoryFiles;
  private readonly schedule: PassSchedule;
  private state: SourceState = deepFreeze({ resources: new Map(), violations: [], changed: new Set<string>() });
  private onChange: (state: SourceState) => void = () => {};
  private readonly touched = new Set<string>();
  private everythingTouched = false;
  private pollAt = 0;
  private closed = false;

  constructor(private readonly options: DirectorySourceOptions) {
    const { directory: root, defaultNamespace, settleMs = 200 } = options;
    this.reader = options.reader ?? createReader();
    this.watch = new DirectoryWatch((path) => this.notice(path), options.logger);
    this.files = new DirectoryFiles({ root, defaultNamespace, settleMs, reader: this.reader, watch: this.watch });
    this.schedule = new PassSchedule(() => this.pass(), options.quietMs ?? 10);
  }

  async start(onChange: (state: SourceState) => void): Promise<SourceState> {
    try {
      await listDirectory(this.options.directory);
      await this.lookAtAll();
    } catch (error) {
      await this.close();
      throw error;
    }
    const first = await this.nextState();
    this.onChange = onChange;
    this.planNextPass();
    return first;
  }

  async close(): Promise<void> {
    this.closed = true;
    this.watch.close();
    await Promise.all([this.schedule.close(), this.reader.close()]);
  }

  private notice(path: string | undefined): void {
    const name = path === undefined ? "" : basename(path);
    // A mounted ConfigMap is swapped by its link ..data.
    if (path === undefined || name.startsWith("..")) this.everythingTouched = true;
    else if (name.startsWith(".")) return;
    else this.touched.add(path);
    this.schedule.event();
  }

  private async pass(): Promise<void> {
    const touched = [...this.touched];
    this.touched.clear();
    const all = this.everythingTouched || performance.now() >= this.pollAt;
    if (all || (await this.files.lookAt(touched))) {
      this.everythingTouched = false;
      await this.lookAtAll();
    }
    if (this.closed) return;
    const before = this.state;
    const state = await this.nextState();
    if (this.closed) return;
    if (state !== before) this.onChange(state);
    this.planNextPass();
  }

  private async lookAtAll(): Promise<void> {
    const start = performance.now();
    await this.files.lookAtAll();
    const end = performance.now();
    const { pollMs = 2_000 } = this.options;
    this.pollAt =
      end + (this.files.isLost ? Math.min(pollMs, LOST_POLL_MS) : Math.max(pollMs, (end - start) * POLL_SHARE));
  }

  private planNextPass(): void {
    const again = this.files.lookAgainMs;
    if (again !== undefined) this.schedule.within(again);
    this.schedule.within(this.pollAt - performance.now());
  }

  /** The state as the files are now; the same one where nothing differs. */
  private async nextState(): Promise<SourceState> {
    const before = this.state;
    const { resources, violations: faults } = assemble(this.files.contents);
    // Of thousands of objects either half takes its time.
    await nextTurn();
    const violations = [...this.files.violations, ...faults];
    const changed = new Set<string>();
    for (const [key, resource] of resources) if (before.resources.get(key) !== resource) changed.add(key);
    for (const key of before.resources.keys()) if (!resources.has(key)) changed.add(key);
    if (changed.size === 0 && isDeepStrictEqual(violations, before.violations)) return before;
    this.state = deepFreeze({ resources, violations, changed });
    return this.state;
  }
}
