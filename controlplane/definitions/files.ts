// The files of deploy/kubernetes/crds/, as they should be.
import { stringify } from "yaml";
import { istioDefinitions, ownDefinitions } from "./custom-resource.js";

const HEAD = "# Made from the schemas of controlplane/resources/ by `npm run deploy:crds`; not to be edited.\n";

/** By name, their text. */
export function definitionFiles(): ReadonlyMap<string, string> {
  return new Map([
    ["istio.yaml", textOf(istioDefinitions())],
    ["headgate.yaml", textOf(ownDefinitions())],
  ]);
}

function textOf(objects: readonly object[]): string {
  const documents = objects.map((object) => stringify(object, { aliasDuplicateObjects: false, lineWidth: 0 }));
  return HEAD + documents.join("---\n");
}
