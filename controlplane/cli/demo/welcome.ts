// What the demo says when everything runs: where to look, and what to try.
import colors from "picocolors";
import type { Mesh } from "./mesh.js";
import { GATEWAY, GATEWAY_PORT, SERVICE_PORT } from "./topology.js";

/** Directories as a person would write them. */
export function welcome(
  mesh: Mesh,
  { policies, filters }: { readonly policies: string; readonly filters: string },
  colored: boolean,
): string {
  const { bold, cyan, dim } = colors.createColors(colored);
  const page = `http://${mesh.address(GATEWAY.name)}:${GATEWAY_PORT}/productpage`;
  const sidecar = `http://${mesh.address("productpage-v1")}:${SERVICE_PORT}`;
  return `
${bold("Headgate is running.")}

  Open            ${cyan(page)}
  Policies        ${cyan(`${policies}/`)} ${dim("(edit, add and delete files; they apply at once)")}
  Control plane   npx headgate status --admin ${mesh.controlPlane.addresses.admin}

${bold("Try this")}
  Sign in as jason on the page: reviews come from v2, with black stars. Anyone else gets v3, with red ones.
  Split by weight instead:
    cp examples/policies/03-reviews-split-75-25.yaml ${policies}/reviews.yaml
  Ask as an application would, through the product page's sidecar:
    curl -H 'Host: reviews' ${sidecar}/reviews/0
  Swap the traffic filter while it decides, for another version of it; then for one that traps, which is taken back:
    npx headgate filter push headgate.traffic build/traffic.wasm --version 1 --filters ${filters}
    npx headgate filter use headgate.traffic@1 --hold 2s --filters ${filters}
    npx headgate filter push headgate.traffic build/trapping.wasm --version 2 --filters ${filters}
    npx headgate filter use headgate.traffic@2 --hold 20s --filters ${filters} ${dim("(reload the page meanwhile)")}
  Push half a file, which is refused:
    head -c 9000 build/traffic.wasm > half.wasm; npx headgate filter push headgate.traffic half.wasm --version 3 --filters ${filters}
  Break a policy on purpose, and see what is said here. More in examples/policies/README.md.

Ctrl-C ends everything. Changes are told below.

`;
}
