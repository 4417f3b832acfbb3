// A module out of an image: of the two kinds of the Wasm image specification, a Wasm artifact and a compatible image.
import { promisify } from "node:util";
import { gunzip } from "node:zlib";
import type { ImageReference } from "../resources/module-source.js";
import { missing, type Outcome } from "./fault.js";
import { type Content, MANIFEST_TYPES, Repository, type RepositoryOptions } from "./image-registry.js";
import { findInTar } from "./tar.js";

export interface PullOptions extends Omit<RepositoryOptions, "reference"> {
  readonly reference: ImageReference;
  /** Hexadecimal; the manifest that the reference leads to must have it. */
  readonly sha256?: string;
  readonly mostBytes: number;
}

/** Layers that are modules as they are. */
const MODULE_LAYERS = new Set([
  "application/vnd.module.wasm.content.layer.v1+wasm",
  "application/vnd.wasm.content.layer.v1+wasm",
  "application/wasm",
]);
const ARCHIVE_LAYER =
  /^application\/vnd\.(?:oci\.image\.layer\.v1\.tar|docker\.image\.rootfs\.diff\.tar)(?:[+.]gzip)?$/;
const FILE = "plugin.wasm";
/** Headers of a tar archive, and other small files of an image. */
const ARCHIVE_ROOM = 1 << 20;

interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly platform?: { readonly architecture?: unknown; readonly os?: unknown };
}

/** Every content is held against its digest on the way. */
export async function pullModule(options: PullOptions): Promise<Outcome<Uint8Array>> {
  const { reference, sha256 } = options;
  const repository = new Repository(options);
  const wanted = reference.digest === undefined ? { tag: reference.tag } : { digest: reference.digest };
  const found = await repository.manifest(wanted);
  if ("fault" in found) return found;
  if (sha256 !== undefined && found.value.digest !== sha256)
    return missing(`the image has the SHA-256 ${found.value.digest}, where ${sha256} was asked for`);
  const manifest = await throughIndex(found.value, repository);
  if ("fault" in manifest) return manifest;
  const layers = descriptors(manifest.value, "layers");
  const layer = layers.findLast(({ mediaType }) => MODULE_LAYERS.has(mediaType));
  if (layer) {
    const blob = await repository.blob(layer.digest, options.mostBytes);
    return "fault" in blob ? blob : { value: blob.value.bytes };
  }
  return fromArchives(layers, repository, options.mostBytes);
}

/** An index stands for one image for each platform: the one for Wasm, else for Linux, else the first. */
async function throughIndex(found: Content, repository: Repository): Promise<Outcome<unknown>> {
  const content = parse(found.bytes);
  const type = (content as { mediaType?: unknown } | undefined)?.mediaType ?? found.mediaType;
  if (type !== MANIFEST_TYPES.index && type !== MANIFEST_TYPES.dockerIndex) return { value: content };
  const manifests = descriptors(content, "manifests");
  const preferred =
    manifests.find(({ platform }) => platform?.architecture === "wasm") ??
    manifests.find(({ platform }) => platform?.os === "linux" && platform.architecture === "amd64") ??
    manifests[0];
  if (!preferred) return missing("the image's index is empty");
  const manifest = await repository.manifest({ digest: preferred.digest });
  return "fault" in manifest ? manifest : { value: parse(manifest.value.bytes) };
}

/** The last layer that has the file is the one that an image's file system shows. */
async function fromArchives(
  layers: readonly Descriptor[],
  repository: Repository,
  mostBytes: number,
): Promise<Outcome<Uint8Array>> {
  const archives = layers.filter(({ mediaType }) => ARCHIVE_LAYER.test(mediaType));
  if (archives.length === 0) {
    const types = [...new Set(layers.map(({ mediaType }) => mediaType))].join(", ") || "none";
    return missing(`the image has no layer that holds a module; its layers are of the types ${types}`);
  }
  for (const { digest } of archives.toReversed()) {
    const blob = await repository.blob(digest, mostBytes + ARCHIVE_ROOM);
    if ("fault" in blob) return blob;
    const archive = await unpack(blob.value.bytes, mostBytes + ARCHIVE_ROOM);
    if ("fault" in archive) return archive;
    const file = findInTar(archive.value, FILE);
    if (file) return { value: file };
  }
  return missing(`no layer of the image has a file ${FILE}`);
}

async function unpack(bytes: Uint8Array, maxOutputLength: number): Promise<Outcome<Uint8Array>> {
  if (bytes[0] !== 0x1f || bytes[1] !== 0x8b) return { value: bytes };
  try {
    return { value: await promisify(gunzip)(bytes, { maxOutputLength }) };
  } catch {
    return missing(`a layer of the image is damaged, or unpacks to more than ${maxOutputLength} bytes`);
  }
}

/** The well-formed descriptors of a list of a manifest's or index's. */
function descriptors(manifest: unknown, list: "layers" | "manifests"): readonly Descriptor[] {
  const found = (manifest as Record<string, unknown> | undefined)?.[list];
  if (!Array.isArray(found)) return [];
  return found.flatMap((entry: Partial<Descriptor> | null) => {
    const [, digest] = /^sha256:([0-9a-f]{64})$/.exec(String(entry?.digest)) ?? [];
    if (digest === undefined || typeof entry?.mediaType !== "string") return [];
    return [{ ...entry, mediaType: entry.mediaType, digest }];
  });
}

function parse(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(bytes).toString("utf8"));
  } catch {
    return undefined;
  }
}
