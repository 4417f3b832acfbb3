// Resources and snapshots for scripted streams. Their content is only a name and a version: no client looks into it.
import { create, toBinary } from "@bufbuild/protobuf";
import { AnySchema } from "@bufbuild/protobuf/wkt";
import type { Snapshot, TypeUrl, XdsResource } from "../../../controlplane/xds/snapshot.js";

export function resource(typeUrl: TypeUrl, name: string, version: string, ttlMillis?: number): XdsResource {
  const value = new TextEncoder().encode(`${name}@${version}`);
  const any = toBinary(AnySchema, create(AnySchema, { typeUrl, value }));
  return { name, version, any, ...(ttlMillis !== undefined && { ttlMillis }) };
}

/** Resources by type, name and version: `{[CLUSTER]: {a: "1", b: "1"}}`. */
export function snapshot(types: Record<TypeUrl, Record<string, string>>): Snapshot {
  const resources = new Map(
    Object.entries(types).map(([typeUrl, versions]) => [
      typeUrl,
      new Map(Object.entries(versions).map(([name, version]) => [name, resource(typeUrl, name, version)])),
    ]),
  );
  return { resources };
}
