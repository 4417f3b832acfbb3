// Images that hold a module, in the forms that there are, and the push of them to a registry by its protocol.
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import type { Scope } from "../harness/scope.js";

export interface Layer {
  readonly mediaType: string;
  readonly content: Uint8Array;
}

export interface ManifestType {
  readonly manifest: string;
  readonly config: string;
}

export const OCI: ManifestType = {
  manifest: "application/vnd.oci.image.manifest.v1+json",
  config: "application/vnd.oci.image.config.v1+json",
};
export const DOCKER: ManifestType = {
  manifest: "application/vnd.docker.distribution.manifest.v2+json",
  config: "application/vnd.docker.container.image.v1+json",
};

/** A tar archive of files, made by tar itself. */
export async function archive(scope: Scope, files: Readonly<Record<string, Uint8Array>>): Promise<Buffer> {
  const directory = await scope.directory();
  for (const [name, content] of Object.entries(files)) await writeFile(join(directory, name), content);
  const names = Object.keys(files).map((name) => `./${name}`);
  return execFileSync("tar", ["-C", directory, "-cf", "-", ...names], { maxBuffer: 1 << 26 });
}

export async function compressed(
  scope: Scope,
  files: Readonly<Record<string, Uint8Array>>,
  { manifest }: ManifestType,
): Promise<Layer> {
  const mediaType =
    manifest === OCI.manifest
      ? "application/vnd.oci.image.layer.v1.tar+gzip"
      : "application/vnd.docker.image.rootfs.diff.tar.gzip";
  return { mediaType, content: gzipSync(await archive(scope, files)) };
}

/** Pushes an image to http://HOST/v2/REPOSITORY and gives its manifest's digest, in hexadecimal. */
export async function pushImage(
  host: string,
  repository: string,
  tag: string,
  layers: readonly Layer[],
  { manifest, config }: ManifestType = OCI,
  headers: Readonly<Record<string, string>> = {},
): Promise<string> {
  const base = `http://${host}/v2/${repository}`;
  const descriptors = [];
  for (const { mediaType, content } of [{ mediaType: config, content: Buffer.from("{}") }, ...layers]) {
    const digest = `sha256:${hex(content)}`;
    const begun = await fetch(`${base}/blobs/uploads/`, { method: "POST", headers });
    const place = new URL(begun.headers.get("location") ?? "", base);
    place.searchParams.set("digest", digest);
    const put = await fetch(place, { method: "PUT", body: Buffer.from(content), headers });
    if (put.status !== 201) throw new Error(`the registry answers ${put.status}: ${await put.text()}`);
    descriptors.push({ mediaType, digest, size: content.length });
  }
  const [own, ...rest] = descriptors;
  return putManifest(
    host,
    repository,
    tag,
    { schemaVersion: 2, mediaType: manifest, config: own, layers: rest },
    headers,
  );
}

/** Puts an index or manifest as it is, and gives its digest. */
export async function putManifest(
  host: string,
  repository: string,
  tag: string,
  manifest: { readonly mediaType: string; readonly [field: string]: unknown },
  headers: Readonly<Record<string, string>> = {},
): Promise<string> {
  const body = JSON.stringify(manifest);
  const put = await fetch(`http://${host}/v2/${repository}/manifests/${tag}`, {
    method: "PUT",
    body,
    headers: { ...headers, "content-type": manifest.mediaType },
  });
  if (put.status !== 201) throw new Error(`the registry answers ${put.status}: ${await put.text()}`);
  return hex(body);
}

export function hex(content: Uint8Array | string): string {
  return createHash("sha256").update(content).digest("hex");
}
